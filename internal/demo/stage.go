package demo

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// stage holds the apps of the story, and a client to send commands.
type stage struct {
	server *embedded.Server
	client *roomclient.Client
	js     jetstream.JetStream
	wrote  chan note

	working context.Context // ends when the apps must stop
	end     context.CancelFunc
	workers sync.WaitGroup
	guard   *worker
}

// worker is a running app.
type worker struct {
	stop  context.CancelFunc
	ended chan struct{} // closed when err is set
	err   error
}

func newStage(ctx context.Context, server *embedded.Server, client *roomclient.Client, js jetstream.JetStream) *stage {
	st := &stage{server: server, client: client, js: js, wrote: make(chan note, 16)}
	st.working, st.end = context.WithCancel(ctx)
	return st
}

// startAll runs the three apps.
func (st *stage) startAll(ctx context.Context) error {
	if err := st.startGuard(ctx); err != nil {
		return err
	}
	_, err := st.start(ctx, room.Manifest{
		ID: "concierge", Version: "1.0.0", Description: "furnishes new rooms", Order: new(2),
	}, concierge{})
	if err != nil {
		return err
	}
	_, err = st.start(ctx, room.Manifest{
		ID: "scribe", Version: "1.0.0", Description: "writes down what happened", Order: new(3),
	}, scribe{st.wrote})
	return err
}

// stopAll stops the apps and waits for them.
func (st *stage) stopAll() error {
	st.end()
	st.workers.Wait()
	if st.guard == nil {
		return nil
	}
	return st.guard.err
}

func (st *stage) startGuard(ctx context.Context) (err error) {
	st.guard, err = st.start(ctx, room.Manifest{
		ID: "guard", Version: "1.0.0", Description: "decides which users may act", Order: new(1),
		Essentials: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(300),
	}, guard{})
	return err
}

func (st *stage) stopGuard(context.Context) error {
	st.guard.stop()
	<-st.guard.ended
	return st.guard.err
}

// start runs an app on its own connection, and returns when it is registered.
func (st *stage) start(ctx context.Context, m room.Manifest, handlers any) (*worker, error) {
	nc, err := st.server.Connect()
	if err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	w := &worker{ended: make(chan struct{})}
	working, stop := context.WithCancel(st.working)
	w.stop = stop
	st.workers.Go(func() {
		defer close(w.ended)
		defer nc.Close()
		w.err = appworker.Run(working, appworker.Config{
			Conn: nc, Logger: slog.New(slog.DiscardHandler), OnReady: func() { close(ready) },
		}, m, handlers)
	})
	select {
	case <-ready:
		return w, nil
	case <-w.ended:
		return nil, errors.Join(w.err, ctx.Err())
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
