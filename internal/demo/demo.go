package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/audit"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// stepTimeout bounds one step of the story. A step takes milliseconds.
const stepTimeout = 10 * time.Second

// Config configures the demo.
type Config struct {
	// Listen is the address at which other processes reach the demo. Empty: none.
	Listen string
	// Tell is called with every entry of the timeline as it happens.
	Tell func(Entry)
	// Keep is called after the story, with the URL of the server. The demo ends when Keep returns.
	// Default: it returns at once.
	Keep func(ctx context.Context, url string)
}

// Run runs the story and removes its files afterwards.
func Run(ctx context.Context, cfg Config) (err error) {
	dir, err := os.MkdirTemp("", "roombus-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := embedded.Start(ctx, embedded.Config{StoreDir: dir, Listen: cfg.Listen})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	nc, err := server.Connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	service, err := roomsvc.Start(ctx, nc, roomsvc.Config{})
	if err != nil {
		return err
	}

	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("using JetStream: %w", err)
	}
	st := newStage(ctx, server, roomclient.New(nc, roomclient.Config{}), js)
	err = st.startAll(ctx)
	if err == nil {
		err = st.tell(ctx, cfg.Tell)
	}
	if err == nil && cfg.Keep != nil {
		go discard(st.working, st.wrote)
		cfg.Keep(ctx, server.URL())
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	return errors.Join(err, st.stopAll(), service.Stop(stopping))
}

// tell runs the steps of the story one after the other. Each step ends when the scribe has recorded
// its events.
func (st *stage) tell(ctx context.Context, tell func(Entry)) error {
	for _, s := range story() {
		ctx, cancel := context.WithTimeout(ctx, stepTimeout)
		defer cancel()
		var err error
		switch {
		case s.scene != nil:
			tell(Entry{Kind: KindScene, Text: s.says})
			err = s.scene(st, ctx)
		case s.explain != "":
			err = st.explain(ctx, s.explain, s.tries, tell)
		default:
			err = st.command(ctx, s, tell)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.says, err)
		}
	}
	return nil
}

// command runs a command and reports its result.
func (st *stage) command(ctx context.Context, s step, tell func(Entry)) error {
	start := time.Now()
	result, err := s.do(ctx, st.client)
	took := time.Since(start)
	var refused *room.Error
	if err != nil && !errors.As(err, &refused) || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	tell(Entry{Kind: KindCommand, Text: s.says, Ms: milliseconds(took)})
	for _, e := range verdictEntries(verdicts(result, refused)) {
		tell(e)
	}
	for _, w := range result.Warnings {
		tell(Entry{Kind: KindWarning, Text: w})
	}
	tell(resultEntry(result, refused))
	if !result.Changed {
		return nil
	}
	for range s.notes {
		select {
		case n := <-st.wrote:
			tell(Entry{Kind: KindEvent, App: "scribe", Interface: n.i, Text: n.text, Event: &n.ref})
		case <-ctx.Done():
			return fmt.Errorf("the scribe did not receive the event: %w", ctx.Err())
		}
	}
	return nil
}

// explain reads the records of a command from the streams, once all of its tries are stored: a
// rejection is written asynchronously.
func (st *stage) explain(ctx context.Context, id string, tries int, tell func(Entry)) error {
	found, err := backoff.Retry(ctx, func() ([]audit.Record, error) {
		found, err := audit.Find(ctx, st.js, audit.Query{ID: id})
		if err == nil && len(found) < tries {
			err = errors.New("some records are not stored yet")
		}
		return found, err
	})
	if err != nil {
		return err
	}
	tell(explained(id, found))
	return nil
}

func verdicts(result room.Result, refused *room.Error) []room.AppOutcome {
	if refused != nil {
		return refused.Apps
	}
	return result.Apps
}

func discard(ctx context.Context, notes <-chan note) {
	for {
		select {
		case <-notes:
		case <-ctx.Done():
			return
		}
	}
}
