package consumer

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// App is the app of the worker. Its methods may be called concurrently.
type App interface {
	// Tell runs the handler of a post-event, of an interface of Config.Interfaces. attempt is the number of
	// deliveries in which the handler may have run, this one included.
	Tell(ctx context.Context, i room.Interface, body []byte, ref room.EventRef, attempt uint64) error
	// Discards reports whether Tell returned the error for an event that it can never process.
	Discards(err error) bool
	// RetryAfter returns the delay before the redelivery, if the handler set one with its error.
	RetryAfter(err error) (after time.Duration, set bool)
	// LogFailure logs why an event was not handled.
	LogFailure(err error, i room.Interface, event string)
	// Registered returns the manifest that is registered with the room service.
	Registered(ctx context.Context) (room.Manifest, error)
	// Restore registers the app again, because its consumer is missing. It does not if an operator has removed
	// the app, and returns true then. removed is the result of the previous call, false if there was none.
	Restore(ctx context.Context, removed bool) bool
}

// Config configures a Consumer. All fields but ReplyPrefixes and JSDomain are required.
type Config struct {
	// Conn is the connection to NATS. The caller closes it.
	Conn *nats.Conn
	// Log is the worker's logger.
	Log *slog.Logger
	// Manifest is the app's manifest.
	Manifest room.Manifest
	// Interfaces are the post-interfaces that the app implements. Without any, the consumer does nothing.
	Interfaces []room.Interface
	// Concurrency bounds the number of concurrent handlers.
	Concurrency int
	// HandlerTimeout bounds a handler. After it the handler's context ends.
	HandlerTimeout time.Duration
	// ReplyPrefixes are the inbox prefixes of workers that the worker answers, in addition to _INBOX and the
	// prefix of Conn.
	ReplyPrefixes []string
	// JSDomain is the JetStream domain of the streams; empty if they are in the account of Conn.
	JSDomain string
	// App runs the handlers.
	App App
}

// Consumer handles the post-events of one worker.
type Consumer struct {
	cfg        Config
	js         jetstream.JetStream
	pool       *pool
	stats      *stats
	registered registeredManifest
	sources    []*source
	outage     bus.Outage   // receiving fails, from any source
	failing    atomic.Int32 // number of sources from which receiving fails

	draining context.Context // ends when no further event may begin
	stopping context.Context // ends when handlers must end
}

// New returns a consumer that receives nothing before Run.
func New(cfg Config) (*Consumer, error) {
	js, err := bus.JetStream(cfg.Conn, cfg.JSDomain)
	if err != nil {
		return nil, err
	}
	c := &Consumer{cfg: cfg, js: js, stats: newStats(cfg.Interfaces)}
	c.pool = newPool(cfg.Concurrency, func(j job) { j.source.run(j.event) })
	if len(cfg.Interfaces) > 0 {
		c.sources = []*source{newSource(c, subjects.Events), newSource(c, subjects.Replays)}
	}
	return c, nil
}

// Run receives and handles events until draining ends. Then it returns the events that have not begun to the
// server. Handlers that have begun may still run: Wait waits for them. The context of handlers ends with
// stopping. Run is called at most once.
func (c *Consumer) Run(draining, stopping context.Context) {
	c.draining, c.stopping = draining, stopping
	var receiving sync.WaitGroup
	for _, s := range c.sources {
		receiving.Go(func() { s.receive(draining) })
	}
	receiving.Wait()
	for _, j := range c.pool.close() {
		j.source.giveBack(j.event)
	}
}

// Wait returns when no handler is running and every handled event is acknowledged. Run must have returned,
// or never be called.
func (c *Consumer) Wait() { c.pool.wait() }

// Close returns when the goroutines that keep the leases have ended. It is called after stopping has ended.
func (c *Consumer) Close() {
	for _, s := range c.sources {
		s.background.Wait()
	}
}

// Stats returns an entry for each post-interface, with the name of the interface. Its data are the
// room.PostFigures. It may be called at any time.
func (c *Consumer) Stats() []*micro.EndpointStats { return c.stats.endpoints() }

// interfaceOf returns the post-interface of an event type, or "" if the app does not implement it.
func (c *Consumer) interfaceOf(e room.EventType) room.Interface {
	for _, i := range c.cfg.Interfaces {
		if i.Event() == e {
			return i
		}
	}
	return ""
}
