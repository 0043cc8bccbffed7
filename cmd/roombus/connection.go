package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// connection is how a command reaches NATS: flags first, then the environment.
type connection struct {
	flags   bus.Settings
	timeout time.Duration
}

func (c *connection) addFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	str := func(field *string, name, help string) { f.Var((*filled)(field), name, help) }
	str(&c.flags.URL, "nats", "servers to connect to, comma-separated (NATS_URL)")
	str(&c.flags.Context, "context", "context of the nats CLI to use (NATS_CONTEXT)")
	str(&c.flags.Creds, "creds", "credentials file (NATS_CREDS)")
	str(&c.flags.NKey, "nkey", "NKey seed file (NATS_NKEY)")
	str(&c.flags.User, "user", "NATS user name, not a user of rooms (NATS_USER)")
	str(&c.flags.Password, "password", "password of the NATS user (NATS_PASSWORD)")
	str(&c.flags.Token, "token", "NATS token (NATS_TOKEN)")
	str(&c.flags.TLSCert, "tlscert", "TLS certificate file (NATS_CERT)")
	str(&c.flags.TLSKey, "tlskey", "TLS key file (NATS_KEY)")
	str(&c.flags.TLSCA, "tlsca", "TLS certificate authority file (NATS_CA)")
	str(&c.flags.InboxPrefix, "inbox-prefix", "prefix of this connection's inboxes (NATS_INBOX_PREFIX)")
}

// addTimeout adds the flag of commands that wait for an answer.
func (c *connection) addTimeout(cmd *cobra.Command, def time.Duration) {
	cmd.PersistentFlags().DurationVar(&c.timeout, "timeout", def, "how long to wait for an answer")
}

func (c *connection) settings() bus.Settings { return c.flags.Or(bus.SettingsFromEnv()) }

// elsewhere reports whether the NATS server is another process.
func (c *connection) elsewhere() bool {
	settings := c.settings()
	return settings.URL != "" || settings.Context != ""
}

// serverMistakes lists what is wrong with the flags and the environment of a command that has a NATS
// server inside unless there is to be another.
func (c *connection) serverMistakes(cmd *cobra.Command, replicas int, sync string) []string {
	var mistakes []string
	say := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	if sync != "always" && sync != "interval" {
		say("--sync must be always or interval, not %q", sync)
	}
	if err := checkReplicas(replicas); err != nil {
		say("%v", err)
	}
	if c.elsewhere() {
		for _, flag := range []string{"listen", "store-dir", "sync"} {
			if cmd.Flags().Changed(flag) {
				say("--%s is about the NATS server inside, but --nats, --context, NATS_URL or NATS_CONTEXT says to use another", flag)
			}
		}
		var wrong *bus.SettingsError
		if errors.As(c.settings().Check(), &wrong) {
			mistakes = append(mistakes, wrong.Problems...)
		}
		return mistakes
	}
	if replicas > 1 {
		say("--replicas %d needs a NATS cluster: say with --nats where it is", replicas)
	}
	if ignored := c.withoutServer(cmd); len(ignored) > 0 {
		say("%s: there is no use for that with the NATS server inside; say with --nats where another one is, or leave it out", strings.Join(ignored, ", "))
	}
	return mistakes
}

// withoutServer names the flags and variables about a connection to a server elsewhere, which the server
// inside would ignore.
func (c *connection) withoutServer(cmd *cobra.Command) []string {
	var names []string
	for _, flag := range []string{"creds", "nkey", "user", "password", "token", "tlscert", "tlskey", "tlsca", "inbox-prefix"} {
		if cmd.Flags().Changed(flag) {
			names = append(names, "--"+flag)
		}
	}
	for _, variable := range bus.SettingsFromEnv().Env() {
		if name, value, _ := strings.Cut(variable, "="); value != "" {
			names = append(names, name)
		}
	}
	return names
}

func checkReplicas(n int) error {
	if n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("--replicas must be 1, 3 or 5, not %d", n)
	}
	return nil
}

// filled is a flag that has a default and no meaning when it is empty, as with --nats "$UNSET".
type filled string

func (f *filled) String() string { return string(*f) }

func (f *filled) Set(s string) error {
	if s == "" {
		return errors.New("it is empty; leave it out or give it a value")
	}
	*f = filled(s)
	return nil
}

func (*filled) Type() string { return "string" }

func (c *connection) connect(opts ...nats.Option) (*nats.Conn, error) {
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // the command's own error says it
	return c.settings().Connect(append([]nats.Option{nats.Name("roombus CLI"), quiet}, opts...)...)
}

// jetStream connects to NATS for what reads its streams. The caller closes the connection.
func (c *connection) jetStream() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := c.connect()
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("using JetStream: %w", err)
	}
	return nc, js, nil
}

// calling is what a command runs that calls the room service and writes what it answers.
func (c *connection) calling(do func(context.Context, *roomclient.Client, io.Writer, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if c.timeout <= 0 {
			return usage(cmd, "--timeout must be more than 0, not %s", c.timeout)
		}
		nc, err := c.connect()
		if err != nil {
			return err
		}
		defer nc.Close()
		client := roomclient.New(nc, roomclient.Config{Timeout: c.timeout})
		return denied(nc, do(cmd.Context(), client, cmd.OutOrStdout(), args))
	}
}

// denied adds to an error which permission the connection lacks, if NATS has refused one: a request that
// may not be sent only runs out of time.
func denied(nc *nats.Conn, err error) error {
	if refused := nc.LastError(); err != nil && errors.Is(refused, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w: %w", refused, err)
	}
	return err
}

// noteUnknownApp says on stderr if no app of the id is registered: that is why nothing was found of it.
func noteUnknownApp(cmd *cobra.Command, js jetstream.JetStream, id string) {
	kv, err := js.KeyValue(cmd.Context(), subjects.AppsBucket)
	if err == nil {
		_, err = kv.Get(cmd.Context(), id)
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		fmt.Fprintf(cmd.ErrOrStderr(), "roombus: there is no app %q\n", id)
	}
}
