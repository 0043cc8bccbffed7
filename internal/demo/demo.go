// Package demo shows roombus at work: a NATS server, a room service and three apps in one
// process, and a short story told with real commands.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// stepTimeout is how long one step of the story may take; it takes milliseconds.
const stepTimeout = 10 * time.Second

// Config says how the demo runs.
type Config struct {
	// Listen is where other processes reach the demo. Empty: nowhere.
	Listen string
	// Tell is given every entry of the timeline as it happens.
	Tell func(Entry)
	// Keep is called after the story, with the address that others can connect to; the demo
	// ends when it returns. Default: at once.
	Keep func(ctx context.Context, url string)
}

// Run tells the story. It leaves nothing behind.
func Run(ctx context.Context, cfg Config) (err error) {
	dir, err := os.MkdirTemp("", "roombus-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := bus.StartEmbedded(ctx, bus.EmbeddedConfig{StoreDir: dir, Listen: cfg.Listen})
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

	wrote := make(chan note, 16)
	working, stopWorking := context.WithCancel(ctx)
	apps, working := errgroup.WithContext(working)
	if err := startApps(working, apps, server, wrote); err != nil {
		stopWorking()
		return errors.Join(err, apps.Wait())
	}
	err = tell(ctx, cfg.Tell, roomclient.New(nc, roomclient.Config{}), wrote)
	if err == nil && cfg.Keep != nil {
		go discard(working, wrote)
		cfg.Keep(ctx, server.URL())
	}
	stopWorking()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	return errors.Join(err, apps.Wait(), service.Stop(stopping))
}

// startApps runs the three apps, each on a connection of its own, and returns when they are
// registered.
func startApps(ctx context.Context, group *errgroup.Group, server *bus.Embedded, wrote chan<- note) error {
	for _, app := range []struct {
		manifest room.Manifest
		handlers any
	}{
		{room.Manifest{
			ID: "guard", Version: "1.0.0", Description: "decides who may do what", Order: new(1),
			Essentials: []room.Interface{room.PreRoomUserJoined},
		}, guard{}},
		{room.Manifest{ID: "concierge", Version: "1.0.0", Description: "furnishes new rooms", Order: new(2)}, concierge{}},
		{room.Manifest{ID: "scribe", Version: "1.0.0", Description: "writes down what happened", Order: new(3)}, scribe{wrote}},
	} {
		nc, err := server.Connect()
		if err != nil {
			return err
		}
		ready := make(chan struct{})
		group.Go(func() error {
			defer nc.Close()
			return appworker.Run(ctx, appworker.Config{
				Conn: nc, Logger: slog.New(slog.DiscardHandler), OnReady: func() { close(ready) },
			}, app.manifest, app.handlers)
		})
		select {
		case <-ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// tell runs the story, one step after the other, each until the scribe has written about it.
func tell(ctx context.Context, tell func(Entry), client *roomclient.Client, wrote <-chan note) error {
	for _, s := range story() {
		ctx, cancel := context.WithTimeout(ctx, stepTimeout)
		defer cancel()
		start := time.Now()
		result, err := s.do(ctx, client)
		took := time.Since(start)
		var refused *room.Error
		if err != nil && !errors.As(err, &refused) || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", s.says, err)
		}
		tell(Entry{Kind: KindCommand, Text: s.says, Ms: milliseconds(took)})
		for _, v := range verdicts(result, refused) {
			tell(Entry{Kind: KindVerdict, App: v.App, Interface: v.Interface, Outcome: v.Outcome, Text: v.Reason, Ms: v.Ms})
		}
		for _, w := range result.Warnings {
			tell(Entry{Kind: KindWarning, Text: w})
		}
		tell(resultEntry(result, refused))
		if !result.Changed {
			continue
		}
		for range s.notes {
			select {
			case n := <-wrote:
				tell(Entry{Kind: KindEvent, App: "scribe", Interface: n.i, Text: n.text, Event: &n.ref})
			case <-ctx.Done():
				return fmt.Errorf("%s: the scribe did not hear of it: %w", s.says, ctx.Err())
			}
		}
	}
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
