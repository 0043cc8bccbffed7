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

// connection says how a command connects to NATS. Flags take precedence over the environment.
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
	str(&c.flags.JSDomain, "js-domain", "JetStream domain, if the streams are in another account (NATS_JS_DOMAIN)")
}

// addTimeout adds the --timeout flag.
func (c *connection) addTimeout(cmd *cobra.Command, def time.Duration) {
	cmd.PersistentFlags().DurationVar(&c.timeout, "timeout", def, "how long to wait for an answer")
}

func (c *connection) settings() bus.Settings { return c.flags.Or(bus.SettingsFromEnv()) }

// elsewhere reports whether the NATS server runs in another process.
func (c *connection) elsewhere() bool {
	settings := c.settings()
	return settings.URL != "" || settings.Context != ""
}

// serverMistakes lists the mistakes in the flags and the environment of a command that starts an
// embedded NATS server, unless another server is named.
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
		for _, flag := range []string{"listen", "store-dir", "sync", "auth", "insecure"} {
			if cmd.Flags().Changed(flag) {
				say("--%s is about the embedded NATS server, but --nats, --context, NATS_URL or NATS_CONTEXT says to use another", flag)
			}
		}
		var wrong *bus.SettingsError
		if errors.As(c.settings().Check(), &wrong) {
			mistakes = append(mistakes, wrong.Problems...)
		}
		return mistakes
	}
	if replicas > 1 {
		say("--stream-replicas %d needs a NATS cluster: give its address with --nats", replicas)
	}
	if ignored := c.withoutServer(cmd); len(ignored) > 0 {
		say("%s: that has no effect with the embedded NATS server; give the address of another server with --nats, or leave it out", strings.Join(ignored, ", "))
	}
	return mistakes
}

// withoutServer names the flags and variables that the embedded server would ignore.
func (c *connection) withoutServer(cmd *cobra.Command) []string {
	var names []string
	for _, flag := range []string{"creds", "nkey", "user", "password", "token", "tlscert", "tlskey", "tlsca", "inbox-prefix", "js-domain"} {
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
		return fmt.Errorf("--stream-replicas must be 1, 3 or 5, not %d", n)
	}
	return nil
}

// filled is a string flag that rejects an empty value, as in --nats "$UNSET".
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

// connect connects to NATS. It gives up when the context ends, or after --timeout if the command has it.
func (c *connection) connect(ctx context.Context, opts ...nats.Option) (*nats.Conn, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // the command's own error says the same
	return c.settings().Connect(ctx, append([]nats.Option{nats.Name("roombus CLI"), quiet}, opts...)...)
}

// jetStream connects to NATS for commands that read streams. The caller closes the connection.
func (c *connection) jetStream(ctx context.Context) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := c.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	js, err := c.settings().JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, js, nil
}

// calling returns a RunE function that calls the room service and writes the answer.
func (c *connection) calling(do func(context.Context, *roomclient.Client, io.Writer, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if c.timeout <= 0 {
			return usage(cmd, "--timeout must be more than 0, not %s", c.timeout)
		}
		nc, err := c.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer nc.Close()
		client := roomclient.New(nc, roomclient.Config{Timeout: c.timeout})
		return denied(nc, do(cmd.Context(), client, cmd.OutOrStdout(), args))
	}
}

// denied adds to an error the permission that the connection lacks. The client library reports a
// request without permission as a timeout.
func denied(nc *nats.Conn, err error) error {
	if refused := nc.LastError(); err != nil && errors.Is(refused, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w: %w", refused, err)
	}
	return err
}

// noteUnknownApp writes to stderr if no app with the id is registered, which explains an empty
// result.
func noteUnknownApp(cmd *cobra.Command, js jetstream.JetStream, id string) {
	kv, err := js.KeyValue(cmd.Context(), subjects.AppsBucket)
	if err == nil {
		_, err = kv.Get(cmd.Context(), id)
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		fmt.Fprintf(cmd.ErrOrStderr(), "roombus: there is no app %q\n", id)
	}
}
