package bus

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// Settings say how to reach a NATS server: what the nats CLI knows, under the same names. A
// field that is set goes before the same field of the context. The JSON names are those of a context.
type Settings struct {
	URL         string `json:"url"` // comma-separated servers
	Context     string `json:"-"`   // of the nats CLI
	Creds       string `json:"creds"`
	NKey        string `json:"nkey"` // file of a seed
	User        string `json:"user"`
	Password    string `json:"password"`
	Token       string `json:"token"`
	TLSCert     string `json:"cert"` // file
	TLSKey      string `json:"key"`  // file
	TLSCA       string `json:"ca"`   // file
	InboxPrefix string `json:"inbox_prefix"`
}

// variable is an environment variable, and the field that it sets.
type variable struct {
	name  string
	field *string
}

// variables are those of the nats CLI, always in the same order.
func (s *Settings) variables() []variable {
	return []variable{
		{"NATS_URL", &s.URL},
		{"NATS_CONTEXT", &s.Context},
		{"NATS_CREDS", &s.Creds},
		{"NATS_NKEY", &s.NKey},
		{"NATS_USER", &s.User},
		{"NATS_PASSWORD", &s.Password},
		{"NATS_TOKEN", &s.Token},
		{"NATS_CERT", &s.TLSCert},
		{"NATS_KEY", &s.TLSKey},
		{"NATS_CA", &s.TLSCA},
		{"NATS_INBOX_PREFIX", &s.InboxPrefix},
	}
}

// SettingsFromEnv reads the environment variables of the nats CLI.
func SettingsFromEnv() Settings {
	var s Settings
	for _, v := range s.variables() {
		*v.field = os.Getenv(v.name)
	}
	return s
}

// Env is the settings as environment variables, for another process of this program.
func (s Settings) Env() []string {
	var env []string
	for _, v := range s.variables() {
		env = append(env, v.name+"="+*v.field)
	}
	return env
}

// Or fills the fields that are not set with those of other settings.
func (s Settings) Or(o Settings) Settings {
	if s.Context != "" { // it names servers too: the one said goes before the one in the environment
		o.URL = ""
	}
	s.fill(o)
	return s
}

func (s *Settings) fill(o Settings) {
	others := o.variables()
	for n, v := range s.variables() {
		*v.field = cmp.Or(*v.field, *others[n].field)
	}
}

// A connection over which two pings in a row bring nothing back is given up for another. The
// defaults of NATS find out after minutes that a network has parted, and TCP sends again what it
// holds with pauses that double: by then the network may have been whole again for long.
const (
	pingInterval = 2 * time.Second
	maxPingsOut  = 2
)

// Connect connects to the first server that answers, at 127.0.0.1:4222 if neither a URL nor a
// context is set. Unless an option says otherwise, what is published while the connection is down
// fails at once instead of leaving later. A context that is merely selected in the nats CLI is not used: what starts
// on this machine is meant for this machine. It returns the *SettingsError of Check, and ErrUnreachable if
// no server answers.
func (s Settings) Connect(opts ...nats.Option) (*nats.Conn, error) {
	all, err := s.resolve()
	if err == nil {
		err = all.check(s.Context)
	}
	if err != nil {
		return nil, err
	}
	given := all.options()
	given = append(given, nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPingsOut), nats.ReconnectBufSize(-1))
	nc, err := nats.Connect(all.URL, append(given, opts...)...)
	if errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) {
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, all.URL, err)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", all.URL, err)
	}
	return nc, nil
}

// resolved is settings with those of their context, and with defaults.
type resolved struct {
	Settings
	context contextOnly
}

// resolve reads the context. It returns a *SettingsError if that cannot be read.
func (s Settings) resolve() (*resolved, error) {
	if s.User != "" && s.Password == "" && s.Token == "" { // as the nats CLI has it
		s.User, s.Token = "", s.User
	}
	r := &resolved{Settings: s}
	if s.Context != "" {
		context, err := readContext(s.Context)
		if err != nil {
			return nil, &SettingsError{[]string{fmt.Sprintf("loading NATS context %q: %v", s.Context, err)}}
		}
		r.context = context.contextOnly
		r.fill(context.Settings)
	}
	r.URL = cmp.Or(r.URL, nats.DefaultURL)
	return r, nil
}

// options are those of a connection, except for its servers.
func (r *resolved) options() []nats.Option {
	var opts []nats.Option
	add := func(given string, opt func() nats.Option) {
		if given != "" {
			opts = append(opts, opt())
		}
	}
	add(r.User, func() nats.Option { return nats.UserInfo(r.User, r.Password) })
	add(r.Token, func() nats.Option { return nats.Token(r.Token) })
	add(r.Creds, func() nats.Option { return nats.UserCredentials(r.Creds) })
	add(r.NKey, func() nats.Option { return seed(r.NKey) })
	add(r.context.UserJWT, func() nats.Option { return bearer(r.context.UserJWT, r.context.UserSeed) })
	add(r.TLSCert, func() nats.Option { return nats.ClientCert(r.TLSCert, r.TLSKey) })
	add(r.TLSCA, func() nats.Option { return nats.RootCAs(r.TLSCA) })
	add(r.InboxPrefix, func() nats.Option { return nats.CustomInboxPrefix(r.InboxPrefix) })
	if r.context.TLSFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts
}

// seed signs with the seed of a file, which is read when the option is used.
func seed(file string) nats.Option {
	return func(o *nats.Options) error {
		opt, err := nats.NkeyOptionFromSeed(file)
		if err != nil {
			return err
		}
		return opt(o)
	}
}

// bearer presents a JWT, and signs if there is a seed.
func bearer(jwt, seed string) nats.Option {
	if seed != "" {
		return nats.UserJWTAndSeed(jwt, seed)
	}
	return nats.UserJWT(func() (string, error) { return jwt, nil }, func([]byte) ([]byte, error) { return nil, nil })
}
