package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/internal/latency"
)

// replyTimeout is how long a client waits for a reply. It is longer than the timeout of a service.
const replyTimeout = 15 * time.Second

// slice is the result of loading one side for a while.
type slice struct {
	done      []request // unordered
	failed    int
	failure   string // the first
	took      time.Duration
	latencies *latency.Distribution
	usage     sideUsage
}

// source returns, for each client, a function for its next command. That function returns false
// when there are no more commands.
type source func() (next func() (request, bool))

// shared is a source from which all clients take.
func shared(next func() (request, bool)) source {
	return func() func() (request, bool) { return next }
}

// until is a source that ends once over is set.
func (from source) until(over *atomic.Bool) source {
	return func() func() (request, bool) {
		next := from()
		return func() (request, bool) {
			if over.Load() {
				return request{}, false
			}
			return next()
		}
	}
}

// load keeps so many commands in progress until the source ends. When the context ends, it does not
// wait for the commands in progress. Its clients are as simple as possible, because their cost
// counts on both sides.
func load(ctx context.Context, nc *nats.Conn, to side, clients int, from source) (*slice, error) {
	all := make([]*client, clients)
	for n := range all {
		c, err := newClient(nc, to)
		if err != nil {
			return nil, err
		}
		defer c.close()
		all[n] = c
	}
	if err := nc.Flush(); err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	start := time.Now()
	var sending sync.WaitGroup
	for _, c := range all {
		next := from()
		sending.Go(func() {
			for ctx.Err() == nil {
				r, ok := next()
				if !ok {
					return
				}
				c.send(ctx, r)
			}
		})
	}
	sending.Wait()
	s := &slice{took: time.Since(start), latencies: latency.New()}
	for _, c := range all {
		s.done = append(s.done, c.done...)
		s.failed += c.failed
		if s.failure == "" {
			s.failure = c.failure
		}
		for _, took := range c.took {
			s.latencies.Add(took)
		}
	}
	return s, nil
}

// client sends one command at a time.
type client struct {
	nc       *nats.Conn
	to       side
	patience time.Duration // how long it waits for a reply
	inbox    string
	replies  chan *nats.Msg
	sub      *nats.Subscription

	done    []request
	took    []time.Duration
	failed  int
	failure string
}

func newClient(nc *nats.Conn, to side) (*client, error) {
	c := &client{nc: nc, to: to, patience: replyTimeout}
	if err := c.open(); err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	return c, nil
}

// open gives the client an inbox with a new, unguessable name.
func (c *client) open() (err error) {
	c.inbox, c.replies = c.nc.NewInbox(), make(chan *nats.Msg, 1)
	c.sub, err = c.nc.ChanSubscribe(c.inbox, c.replies)
	return err
}

func (c *client) close() { _ = c.sub.Unsubscribe() } // fails only if the connection is closed

func (c *client) send(ctx context.Context, r request) {
	msg := r.message(c.to)
	msg.Reply = c.inbox
	start := time.Now()
	if err := c.nc.PublishMsg(msg); err != nil {
		c.fail(err.Error())
		return
	}
	timeout := time.NewTimer(c.patience)
	defer timeout.Stop()
	select {
	case reply := <-c.replies:
		if why := failure(reply); why != "" {
			c.fail(why)
			return
		}
		c.took = append(c.took, time.Since(start))
		c.done = append(c.done, r)
	case <-timeout.C:
		c.fail(fmt.Sprintf("no answer within %s", c.patience))
		c.close()    // a late reply must not be taken for the next reply
		_ = c.open() // fails only if the connection is closed, and then the next request fails too
	case <-ctx.Done():
	}
}

func (c *client) fail(why string) {
	c.failed++
	if c.failure == "" {
		c.failure = why
	}
}
