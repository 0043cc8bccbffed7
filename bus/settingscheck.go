package bus

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
)

// SettingsError is returned when settings are half given, contradict each other, or name files
// that cannot be used.
type SettingsError struct {
	Problems []string // each with what to do about it
}

func (e *SettingsError) Error() string { return strings.Join(e.Problems, "; ") }

// Check reads the context and the files that the settings name, without connecting. It returns a
// *SettingsError with every problem there is.
func (s Settings) Check() error {
	c, err := s.resolve()
	if err != nil {
		return &SettingsError{[]string{err.Error() + ": nats context ls shows which there are"}}
	}
	problems := slices.Concat(urlProblems(c.ServerURL()), halves(c), s.fileProblems(c))
	if ways := waysToAuthenticate(c); len(ways) > 1 {
		problems = append(problems, fmt.Sprintf("NATS credentials are given in %d ways: %s: keep one", len(ways), strings.Join(ways, ", ")))
	}
	if len(problems) == 0 {
		return nil
	}
	if s.Context != "" {
		problems[len(problems)-1] += fmt.Sprintf(" (what context %q says counts too)", s.Context)
	}
	return &SettingsError{problems}
}

// urlProblems checks every server in a comma-separated list. It shows no password.
func urlProblems(servers string) []string {
	var problems []string
	for server := range strings.SplitSeq(servers, ",") {
		if server = strings.TrimSpace(server); server == "" {
			continue // the client passes over it
		}
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		var because *url.Error
		if errors.As(err, &because) {
			problems = append(problems, fmt.Sprintf("a server of --nats (NATS_URL) is not a URL such as %s: %v", nats.DefaultURL, because.Err))
			continue
		}
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		switch {
		case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
			problems = append(problems, fmt.Sprintf("the server %s of --nats (NATS_URL) must begin with nats, tls, ws or wss", u.Redacted()))
		case u.Hostname() == "":
			problems = append(problems, fmt.Sprintf("the server %s of --nats (NATS_URL) has no host", u.Redacted()))
		case u.Port() != "" && (err != nil || port == 0):
			problems = append(problems, fmt.Sprintf("the port of the server %s of --nats (NATS_URL) must be 1 to 65535", u.Redacted()))
		}
	}
	return problems
}

// halves finds what only counts as a pair, and would be ignored alone.
func halves(c *natscontext.Context) []string {
	var problems []string
	for _, pair := range []struct{ one, other, oneName, otherName string }{
		{c.Certificate(), c.Key(), "--tlscert (NATS_CERT)", "--tlskey (NATS_KEY)"},
		{c.Key(), c.Certificate(), "--tlskey (NATS_KEY)", "--tlscert (NATS_CERT)"},
		{c.Password(), c.User(), "--password (NATS_PASSWORD)", "--user (NATS_USER)"},
	} {
		if pair.one != "" && pair.other == "" {
			problems = append(problems, fmt.Sprintf("%s is given without %s: give both or neither", pair.oneName, pair.otherName))
		}
	}
	return problems
}

// waysToAuthenticate names the kinds of credentials that are set. The client would use one of them
// and ignore the others.
func waysToAuthenticate(c *natscontext.Context) []string {
	var ways []string
	for _, way := range []struct{ value, name string }{
		{c.User(), "--user (NATS_USER)"},
		{c.Token(), "--token (NATS_TOKEN, or --user without --password)"},
		{c.Creds(), "--creds (NATS_CREDS)"},
		{c.NKey(), "--nkey (NATS_NKEY)"},
		{c.UserJWT(), "user_jwt of the context"},
	} {
		if way.value != "" {
			ways = append(ways, way.name)
		}
	}
	return ways
}

// fileProblems reads the files in the way in which a connection does, since that would read some of
// them only when the server asks for them.
func (s Settings) fileProblems(c *natscontext.Context) []string {
	var problems []string
	for _, file := range []struct {
		name  string
		given bool
		as    []natscontext.Option
	}{
		{"--creds (NATS_CREDS)", c.Creds() != "", []natscontext.Option{natscontext.WithCreds(c.Creds())}},
		{"--nkey (NATS_NKEY)", c.NKey() != "", []natscontext.Option{natscontext.WithNKey(c.NKey())}},
		{
			"--tlscert (NATS_CERT) and --tlskey (NATS_KEY)", c.Certificate() != "" && c.Key() != "",
			[]natscontext.Option{natscontext.WithCertificate(c.Certificate()), natscontext.WithKey(c.Key())},
		},
		{"--tlsca (NATS_CA)", c.CA() != "", []natscontext.Option{natscontext.WithCA(c.CA())}},
	} {
		if !file.given {
			continue
		}
		if err := readFiles(file.as...); err != nil {
			problems = append(problems, fmt.Sprintf("the file of %s cannot be used: %v", file.name, err))
		}
	}
	if s.InboxPrefix != "" && !IsInboxPrefix(s.InboxPrefix) {
		problems = append(problems, fmt.Sprintf("--inbox-prefix (NATS_INBOX_PREFIX) must be a subject without wildcards, such as _INBOX_rooms, not %q", s.InboxPrefix))
	}
	return problems
}

func readFiles(named ...natscontext.Option) error {
	c, err := natscontext.New("", false, named...)
	if err != nil {
		return err
	}
	opts, err := c.NATSOptions()
	if err != nil {
		return err
	}
	o := nats.GetDefaultOptions()
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return err
		}
	}
	if o.UserJWT != nil {
		if _, err := o.UserJWT(); err != nil {
			return err
		}
	}
	if o.SignatureCB != nil {
		_, err = o.SignatureCB([]byte("any nonce"))
	}
	return err
}
