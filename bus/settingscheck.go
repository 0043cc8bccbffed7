package bus

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// SettingsError is returned when settings are incomplete, contradict each other, or name files
// that cannot be used.
type SettingsError struct {
	Problems []string // each tells what to do
}

func (e *SettingsError) Error() string { return strings.Join(e.Problems, "; ") }

// Check reads the context and the files that the settings name, without connecting. It returns a
// *SettingsError with all problems.
func (s Settings) Check() error {
	all, err := s.resolve()
	if err != nil {
		return err
	}
	return all.check(s.Context)
}

func (r *resolved) check(context string) error {
	problems := slices.Concat(urlProblems(r.URL), r.halves(), r.fileProblems())
	if ways := r.waysToAuthenticate(); len(ways) > 1 {
		problems = append(problems, fmt.Sprintf("NATS credentials are given in %d ways: %s: keep one", len(ways), strings.Join(ways, ", ")))
	}
	if len(problems) == 0 {
		return nil
	}
	if context != "" {
		problems[len(problems)-1] += fmt.Sprintf(" (the settings of context %q count too)", context)
	}
	return &SettingsError{problems}
}

// urlProblems checks every server in a comma-separated list. The problems contain no password.
func urlProblems(servers string) []string {
	var problems []string
	for server := range strings.SplitSeq(servers, ",") {
		if server = strings.TrimSpace(server); server == "" {
			continue // the client ignores it
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

// halves finds settings that need a second one and would be ignored without it.
func (r *resolved) halves() []string {
	var problems []string
	for _, pair := range []struct{ one, other, oneName, otherName string }{
		{r.TLSCert, r.TLSKey, "--tlscert (NATS_CERT)", "--tlskey (NATS_KEY)"},
		{r.TLSKey, r.TLSCert, "--tlskey (NATS_KEY)", "--tlscert (NATS_CERT)"},
		{r.Password, r.User, "--password (NATS_PASSWORD)", "--user (NATS_USER)"},
	} {
		if pair.one != "" && pair.other == "" {
			problems = append(problems, fmt.Sprintf("%s is given without %s: give both or neither", pair.oneName, pair.otherName))
		}
	}
	return problems
}

// waysToAuthenticate returns the kinds of credentials that are set. The client would use one of them
// and ignore the others.
func (r *resolved) waysToAuthenticate() []string {
	var ways []string
	for _, way := range []struct{ value, name string }{
		{r.User, "--user (NATS_USER)"},
		{r.Token, "--token (NATS_TOKEN, or --user without --password)"},
		{r.Creds, "--creds (NATS_CREDS)"},
		{r.NKey, "--nkey (NATS_NKEY)"},
		{r.context.UserJWT, "user_jwt of the context"},
	} {
		if way.value != "" {
			ways = append(ways, way.name)
		}
	}
	return ways
}

// fileProblems reads the files as a connection does. A connection would read some of them only when
// the server asks for them.
func (r *resolved) fileProblems() []string {
	var problems []string
	for _, file := range []struct {
		name  string
		given bool
		as    nats.Option
	}{
		{"--creds (NATS_CREDS)", r.Creds != "", nats.UserCredentials(r.Creds)},
		{"--nkey (NATS_NKEY)", r.NKey != "", seed(r.NKey)},
		{"--tlscert (NATS_CERT) and --tlskey (NATS_KEY)", r.TLSCert != "" && r.TLSKey != "", nats.ClientCert(r.TLSCert, r.TLSKey)},
		{"--tlsca (NATS_CA)", r.TLSCA != "", nats.RootCAs(r.TLSCA)},
	} {
		if !file.given {
			continue
		}
		if err := read(file.as); err != nil {
			problems = append(problems, fmt.Sprintf("the file of %s cannot be used: %v", file.name, err))
		}
	}
	if r.InboxPrefix != "" && !IsInboxPrefix(r.InboxPrefix) {
		problems = append(problems, fmt.Sprintf("--inbox-prefix (NATS_INBOX_PREFIX) must be a subject without wildcards, such as _INBOX_rooms, not %q", r.InboxPrefix))
	}
	if strings.ContainsAny(r.JSDomain, ". *>\t\r\n") {
		problems = append(problems, fmt.Sprintf("--js-domain (NATS_JS_DOMAIN) must be one token of a subject, such as roombus, not %q", r.JSDomain))
	}
	return problems
}

// read reads the files of an option.
func read(opt nats.Option) error {
	o := nats.GetDefaultOptions()
	if err := opt(&o); err != nil {
		return err
	}
	if o.UserJWT != nil {
		if _, err := o.UserJWT(); err != nil {
			return err
		}
	}
	if o.SignatureCB != nil {
		if _, err := o.SignatureCB([]byte("any nonce")); err != nil {
			return err
		}
	}
	return nil
}
