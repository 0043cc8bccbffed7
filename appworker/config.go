package appworker

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// Config configures a worker. The zero Config is usable.
type Config struct {
	// Conn is the connection to use. The caller closes it and logs when it is lost. Default: a new connection with
	// the settings of the environment (NATS_URL, NATS_CONTEXT, NATS_CREDS and the other variables of the
	// nats CLI). It waits until a server is available.
	Conn *nats.Conn
	// Concurrency bounds the number of concurrent pre-event handlers and, separately, of post-event
	// handlers. Default 64 each.
	Concurrency int
	// HandlerTimeout bounds a post-event handler. After it the handler's context ends, and the event is
	// redelivered; until then the worker keeps its lease on the event. Default 10 min. The room service
	// sets the timeout of a pre-event handler.
	HandlerTimeout time.Duration
	// DrainTimeout bounds how long the worker waits for running handlers when it stops.
	// Default 30 s.
	DrainTimeout time.Duration
	// RegistrationCheck is the average interval between checks that the app is still registered. If the
	// registration was lost, the worker registers the app again. Default 30 s.
	RegistrationCheck time.Duration
	// Logger is the worker's logger. Default: slog.Default().
	Logger *slog.Logger
	// JSDomain is the JetStream domain of the streams, if the app has an account of its own. Default: without
	// Conn that of the environment (NATS_JS_DOMAIN, or the jetstream_domain of the context), with Conn none.
	JSDomain string
	// ReplyPrefixes are the inbox prefixes of room services that the worker replies to, in addition to
	// _INBOX and the prefix of its own connection.
	ReplyPrefixes []string
	// OnReady is called once this worker serves the app and the app is registered.
	OnReady func()
}

func (c Config) withDefaults() Config {
	if c.Concurrency <= 0 {
		c.Concurrency = 64
	}
	if c.HandlerTimeout <= 0 {
		c.HandlerTimeout = 10 * time.Minute
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = 30 * time.Second
	}
	if c.RegistrationCheck <= 0 {
		c.RegistrationCheck = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.OnReady == nil {
		c.OnReady = func() {}
	}
	return c
}
