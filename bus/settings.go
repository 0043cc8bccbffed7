package bus

import (
	"cmp"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// Settings configure the connection to a NATS server. They have the names of the nats CLI. A field
// that is set takes precedence over the same field of the context. The JSON names are those of a
// context file.
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
	// JSDomain is the JetStream domain to use. An app in an account of its own reaches the JetStream of
	// the room services under a domain.
	JSDomain string `json:"jetstream_domain"`
}

// variable is an environment variable and the field that it sets.
type variable struct {
	name  string
	field *string
}

// variables returns the environment variables of the nats CLI, always in the same order. The nats CLI
// has flags, but no variables, for the last two.
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
		{"NATS_JS_DOMAIN", &s.JSDomain},
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

// Env returns the settings as environment variables, for a child process of this program.
func (s Settings) Env() []string {
	var env []string
	for _, v := range s.variables() {
		env = append(env, v.name+"="+*v.field)
	}
	return env
}

// Or fills the empty fields with those of other settings.
func (s Settings) Or(o Settings) Settings {
	if s.Context != "" { // the context names the servers: it takes precedence over o.URL
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

// resolved is Settings merged with their context and the defaults.
type resolved struct {
	Settings
	context contextOnly
}

// resolve reads the context. It returns a *SettingsError if the context cannot be read, or
// if it has a user and the settings have another one without a password.
func (s Settings) resolve() (*resolved, error) {
	userAlone := s.User != "" && s.Password == "" && s.Token == ""
	if userAlone { // it is a token, as in the nats CLI
		s.User, s.Token = "", s.User
	}
	r := &resolved{Settings: s}
	if s.Context != "" {
		context, err := readContext(s.Context)
		if err != nil {
			return nil, &SettingsError{[]string{fmt.Sprintf("loading NATS context %q: %v", s.Context, err)}}
		}
		if userAlone && context.User != "" {
			return nil, &SettingsError{[]string{fmt.Sprintf("--user (NATS_USER) is given without --password (NATS_PASSWORD), "+
				"and NATS context %q has a user of its own: give the password too, or leave --user (NATS_USER) out", s.Context)}}
		}
		r.context = context.contextOnly
		r.fill(context.Settings)
	}
	r.URL = cmp.Or(r.URL, nats.DefaultURL)
	return r, nil
}

// options returns the options of the connection, without the servers.
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

// seed signs with the seed in the file. The file is read when the option is applied.
func seed(file string) nats.Option {
	return func(o *nats.Options) error {
		opt, err := nats.NkeyOptionFromSeed(file)
		if err != nil {
			return err
		}
		return opt(o)
	}
}

// bearer presents a JWT. It signs the nonce if there is a seed.
func bearer(jwt, seed string) nats.Option {
	if seed != "" {
		return nats.UserJWTAndSeed(jwt, seed)
	}
	return nats.UserJWT(func() (string, error) { return jwt, nil }, func([]byte) ([]byte, error) { return nil, nil })
}
