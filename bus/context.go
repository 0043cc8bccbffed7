package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// savedContext is a context that the nats CLI has saved.
type savedContext struct {
	Settings
	contextOnly
}

// contextOnly are the settings that only a context can have.
type contextOnly struct {
	UserJWT  string `json:"user_jwt"`
	UserSeed string `json:"user_seed"`
	TLSFirst bool   `json:"tls_first"`
	// Not supported. They are refused, because a connection that ignores them is not the one the user wants.
	NSC              string `json:"nsc"`
	SOCKSProxy       string `json:"socks_proxy"`
	WindowsCertStore string `json:"windows_cert_store"`
}

// ContextFile is the file in which the nats CLI keeps the context.
func ContextFile(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, `/\`) || strings.Contains(name, "..") {
		return "", errors.New("it must be a name that nats context ls shows, not a path")
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("looking for the home directory: %w", err)
		}
		config = filepath.Join(home, ".config")
	}
	return filepath.Join(config, "nats", "context", name+".json"), nil
}

// readContext reads a context where the nats CLI keeps them.
func readContext(name string) (*savedContext, error) {
	path, err := ContextFile(name)
	if err != nil {
		return nil, err
	}
	home, _ := os.UserHomeDir() // only paths that begin with ~ need it
	c, err := readContextFile(path, home)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func readContextFile(path, home string) (*savedContext, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it does not exist: nats context ls lists the contexts")
	}
	if err != nil {
		return nil, err
	}
	c := &savedContext{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("it is not a context of the nats CLI: %w", err)
	}
	for _, file := range []*string{&c.Creds, &c.NKey, &c.TLSCert, &c.TLSKey, &c.TLSCA} {
		if *file, err = localPath(*file, home); err != nil {
			return nil, err
		}
	}
	for name, secret := range map[string]string{"password": c.Password, "token": c.Token, "user_jwt": c.UserJWT, "user_seed": c.UserSeed} {
		if reference.MatchString(secret) {
			return nil, fmt.Errorf("its %s is a reference, which only the nats CLI reads: use the value, or a file of credentials", name)
		}
	}
	return c, c.supported()
}

// reference matches a secret that the nats CLI would look up. Sent as it is, it would be refused without a hint.
var reference = regexp.MustCompile(`^(?:(?:env|file|nsc|op)://|data:)`)

// localPath expands variables and the home directory in a file path, as the nats CLI does.
func localPath(path, home string) (string, error) {
	path = strings.TrimPrefix(os.ExpandEnv(path), "file://")
	if scheme, _, found := strings.Cut(path, "://"); found {
		return "", fmt.Errorf("it has credentials by %s://, which only the nats CLI reads: use a file", scheme)
	}
	if rest, found := strings.CutPrefix(path, "~"); found {
		path = home + rest
	}
	return path, nil
}

// supported returns an error for a setting that Connect would ignore.
func (c *contextOnly) supported() error {
	for _, s := range []struct{ value, name, instead string }{
		{c.NSC, "nsc", "a file of credentials (nsc generate creds)"},
		{c.SOCKSProxy, "socks_proxy", "a server that can be reached without it"},
		{c.WindowsCertStore, "windows_cert_store", "cert and key"},
	} {
		if s.value != "" {
			return fmt.Errorf("it has %s, which only the nats CLI supports: use %s", s.name, s.instead)
		}
	}
	return nil
}
