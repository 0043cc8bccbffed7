package health_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/health"
	"github.com/roombus/roombus/subjects"
)

// rooms is a fake of the rooms in memory. The zero rooms has read all of an empty stream.
type rooms struct {
	late    error // of AwaitSeq
	atEnd   bool
	missing uint64
	unknown bool // the number of missing events
}

func (r *rooms) Last() uint64                                 { return 0 }
func (r *rooms) AwaitSeq(context.Context, uint64) error       { return r.late }
func (r *rooms) AtEnd(context.Context) bool                   { return r.atEnd }
func (r *rooms) MissingEvents(context.Context) (uint64, bool) { return r.missing, !r.unknown }

// config returns a configuration for a service that has read everything.
func config(t *testing.T, nc *nats.Conn, log io.Writer) health.Config {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return health.Config{
		Conn: nc, JetStream: js, AckWait: 2 * time.Second, OnReadiness: func(health.Readiness) {},
		Rooms:     func() health.Rooms { return &rooms{} },
		AwaitApps: func(context.Context) error { return nil },
		Logger:    slog.New(slog.NewTextHandler(log, nil)),
	}
}

// createEvents creates the stream of events.
func createEvents(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.Events, Subjects: []string{subjects.AllEvents}})
	require.NoError(t, err)
	return js
}

// firstReport returns the readiness of a started service after the first check.
func firstReport(t *testing.T, cfg health.Config) (first health.Readiness) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cfg.OnReadiness = func(r health.Readiness) { first = r; cancel() }
	h := health.New(cfg)
	h.Started()
	h.Run(ctx)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "there is no report")
	return first
}

var ready = health.Readiness{Ready: true}

func TestReadiness_StreamGone(t *testing.T) {
	t.Parallel()
	nc := harness.Connect(t, harness.NewServer(t))
	js := createEvents(t, nc)
	require.Equal(t, ready, firstReport(t, config(t, nc, io.Discard)))
	require.NoError(t, js.DeleteStream(t.Context(), subjects.Events))
	require.Equal(t, "the stream ROOM_EVENTS is gone", firstReport(t, config(t, nc, io.Discard)).NotReady)
}

func TestReadiness_RoomsOrAppsBehind(t *testing.T) {
	t.Parallel()
	nc := harness.Connect(t, harness.NewServer(t))
	_, err := createEvents(t, nc).Publish(t.Context(), subjects.Post(room.EventCreate, "r"), nil)
	require.NoError(t, err)
	for name, row := range map[string]struct {
		rooms rooms
		apps  error
		want  string
	}{
		"rooms behind":            {rooms: rooms{late: context.DeadlineExceeded}, want: "the service has yet to read 1 events of stream ROOM_EVENTS"},
		"no message left to read": {rooms: rooms{late: context.DeadlineExceeded, atEnd: true}},
		"apps behind":             {apps: room.Errorf(room.CodeUnavailable, "not in sync"), want: "not in sync"},
	} {
		cfg := config(t, nc, io.Discard)
		cfg.Rooms = func() health.Rooms { return &row.rooms }
		cfg.AwaitApps = func(context.Context) error { return row.apps }
		assert.Equal(t, row.want, firstReport(t, cfg).NotReady, name)
	}
}

// The embedded server refuses every message while its disk is full, by a limit of the account.
func TestReadiness_NoStorageLeft(t *testing.T) {
	t.Parallel()
	ns, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	require.NoError(t, err)
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	createEvents(t, nc)
	full := health.Readiness{NotReady: "the JetStream account has no storage left"}
	for _, row := range []struct {
		most int64
		want health.Readiness
	}{{-1, ready}, {0, full}, {1 << 30, ready}} {
		limits := server.JetStreamAccountLimits{
			MaxMemory: -1, MaxStore: row.most, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
		}
		require.NoError(t, ns.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits}))
		assert.Equal(t, row.want, firstReport(t, config(t, nc, io.Discard)), row.most)
	}
}

func TestReadiness_FailedCommitFades(t *testing.T) {
	t.Parallel()
	h := health.New(config(t, harness.Connect(t, harness.NewServer(t)), io.Discard))
	h.Started()
	for err, isReady := range map[error]bool{bus.ErrRefused: false, bus.ErrUncertain: false, bus.ErrConflict: true, bus.ErrTooLarge: true} {
		h.NotCommitted(fmt.Errorf("%w: broken", err))
		assert.Equal(t, isReady, h.Readiness(time.Now()).Ready, err)
		assert.True(t, h.Readiness(time.Now().Add(15*time.Second)).Ready, err)
		h.Committed()
		assert.True(t, h.Readiness(time.Now()).Ready, err)
	}
}

func TestReadiness_StandsByUntilRestored(t *testing.T) {
	t.Parallel()
	var reasons []string
	cfg := config(t, harness.Connect(t, harness.NewServer(t)), io.Discard)
	cfg.OnReadiness = func(r health.Readiness) { reasons = append(reasons, r.NotReady) }
	h := health.New(cfg)
	h.Report()
	h.Lost(errors.New("all is lost"))
	h.Report()
	h.Report()
	h.Lost(nil)
	h.Report()
	h.Started()
	h.Report()
	assert.Equal(t, []string{"the service is starting", "all is lost", "the service is starting", ""}, reasons)
}
