package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	f.StringVar(&c.flags.URL, "nats", "", "servers to connect to, comma-separated (NATS_URL)")
	f.StringVar(&c.flags.Context, "context", "", "context of the nats CLI to use (NATS_CONTEXT)")
	f.StringVar(&c.flags.Creds, "creds", "", "credentials file (NATS_CREDS)")
	f.StringVar(&c.flags.NKey, "nkey", "", "NKey seed file (NATS_NKEY)")
	f.StringVar(&c.flags.User, "user", "", "NATS user name, not a user of rooms (NATS_USER)")
	f.StringVar(&c.flags.Password, "password", "", "password of the NATS user (NATS_PASSWORD)")
	f.StringVar(&c.flags.Token, "token", "", "NATS token (NATS_TOKEN)")
	f.StringVar(&c.flags.TLSCert, "tlscert", "", "TLS certificate file (NATS_CERT)")
	f.StringVar(&c.flags.TLSKey, "tlskey", "", "TLS key file (NATS_KEY)")
	f.StringVar(&c.flags.TLSCA, "tlsca", "", "TLS certificate authority file (NATS_CA)")
	f.StringVar(&c.flags.InboxPrefix, "inbox-prefix", "", "prefix of this connection's inboxes (NATS_INBOX_PREFIX)")
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

// checkServer refuses flags that do not go with the NATS server, of a command that has one inside
// unless there is to be another.
func (c *connection) checkServer(cmd *cobra.Command, replicas int, sync string) error {
	if sync != "always" && sync != "interval" {
		return usage(cmd, "--sync must be always or interval, not %q", sync)
	}
	if err := checkReplicas(cmd, replicas); err != nil {
		return err
	}
	if !c.elsewhere() {
		if replicas > 1 {
			return usage(cmd, "--replicas %d needs a NATS cluster: say with --nats where it is", replicas)
		}
		return nil
	}
	for _, flag := range []string{"listen", "store-dir", "sync"} {
		if cmd.Flags().Changed(flag) {
			return usage(cmd, "--%s is about the NATS server inside, but --nats, --context, NATS_URL or NATS_CONTEXT says to use another", flag)
		}
	}
	return nil
}

func checkReplicas(cmd *cobra.Command, n int) error {
	if n != 1 && n != 3 && n != 5 {
		return usage(cmd, "--replicas must be 1, 3 or 5, not %d", n)
	}
	return nil
}

func (c *connection) connect() (*nats.Conn, error) {
	return c.settings().Connect(nats.Name("roombus CLI"))
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
		return do(cmd.Context(), client, cmd.OutOrStdout(), args)
	}
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
