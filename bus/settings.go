package bus

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
)

// Settings say how to reach a NATS server: what the nats CLI knows, under the same names. A
// field that is set goes before what the context says.
type Settings struct {
	URL         string // comma-separated servers
	Context     string // of the nats CLI
	Creds       string // file
	NKey        string // file of a seed
	User        string
	Password    string
	Token       string
	TLSCert     string // file
	TLSKey      string // file
	TLSCA       string // file
	InboxPrefix string
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
	others := o.variables()
	for n, v := range s.variables() {
		*v.field = cmp.Or(*v.field, *others[n].field)
	}
	return s
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
	if err := s.Check(); err != nil {
		return nil, err
	}
	c, err := s.resolve()
	if err != nil {
		return nil, err
	}
	all, err := c.NATSOptions()
	if err != nil {
		return nil, fmt.Errorf("reading the NATS settings: %w", err)
	}
	if s.InboxPrefix != "" {
		all = append(all, nats.CustomInboxPrefix(s.InboxPrefix))
	}
	all = append(all, nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPingsOut), nats.ReconnectBufSize(-1))
	nc, err := nats.Connect(c.ServerURL(), append(all, opts...)...)
	if errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) {
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.ServerURL(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", c.ServerURL(), err)
	}
	return nc, nil
}

func (s Settings) resolve() (*natscontext.Context, error) {
	if s.User != "" && s.Password == "" && s.Token == "" { // as the nats CLI has it
		s.User, s.Token = "", s.User
	}
	c, err := natscontext.New(s.Context, s.Context != "",
		natscontext.WithServerURL(s.URL),
		natscontext.WithCreds(s.Creds),
		natscontext.WithNKey(s.NKey),
		natscontext.WithUser(s.User),
		natscontext.WithPassword(s.Password),
		natscontext.WithToken(s.Token),
		natscontext.WithCertificate(s.TLSCert),
		natscontext.WithKey(s.TLSKey),
		natscontext.WithCA(s.TLSCA))
	if err != nil {
		return nil, fmt.Errorf("loading NATS context %q: %w", s.Context, err)
	}
	return c, nil
}
