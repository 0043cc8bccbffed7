package appworker

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// Config says how a worker runs. The zero Config is a good one.
type Config struct {
	// Conn is the connection to use; the caller closes it, and logs when it is lost. Default: one of the worker's own,
	// as the environment says (NATS_URL, NATS_CONTEXT, NATS_CREDS and the others that the
	// nats CLI knows), which waits for a server that is not there yet.
	Conn *nats.Conn
	// Concurrency bounds the pre-event handlers that run at once, and apart from them the
	// post-event handlers. Default 64 each.
	Concurrency int
	// HandlerTimeout bounds a post-event handler: then its context ends, and the event is delivered
	// again. Until then JetStream is told that it is being worked on. Default 10 min. A pre-event
	// handler has the time that the room service gives it.
	HandlerTimeout time.Duration
	// DrainTimeout bounds how long handlers may take to finish when the worker stops.
	// Default 30 s.
	DrainTimeout time.Duration
	// RegistrationCheck is how often the worker looks, on average, whether its app is still registered. If the
	// registration was lost it registers again. Default 30 s.
	RegistrationCheck time.Duration
	// Logger gets what operators should know. Default: slog.Default().
	Logger *slog.Logger
	// ReplyPrefixes are inbox prefixes of room services, beside _INBOX and that of this
	// worker's connection, whose pre-events are answered.
	ReplyPrefixes []string
	// OnReady is called once the app is registered and served by this worker.
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
