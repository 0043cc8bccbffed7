package roomsvc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

func TestReadiness_Verdict(t *testing.T) {
	t.Parallel()
	now := time.Now()
	failed := func(ago time.Duration) *commitFailure { return &commitFailure{errors.New("no answer"), now.Add(-ago)} }
	for reason, f := range map[string]facts{
		"":                               {failure: failed(failureFades)},
		"the connection to NATS is down": {disconnected: true, look: look{leader: nats.ErrTimeout}},
		"the service is starting":        {starting: true, disconnected: true},
		"all is lost: restore it":        {starting: true, lost: &streams.LostError{Why: "all is lost", Remedy: "restore it"}},
		"the stream ROOM_EVENTS is gone": {look: look{leader: fmt.Errorf("looking: %w", jetstream.ErrStreamNotFound)}},
		"the leader of stream ROOM_EVENTS does not answer: late":     {look: look{leader: errors.New("late"), full: true}},
		"the JetStream account has no storage left":                  {look: look{full: true}, failure: failed(0)},
		"the last commit failed: no answer":                          {failure: failed(failureFades - 1), look: look{behind: 1}},
		"the apps are not known":                                     {look: look{apps: "the apps are not known", behind: 1}},
		"the service has yet to read 7 events of stream ROOM_EVENTS": {look: look{behind: 7}},
	} {
		assert.Equal(t, Readiness{Ready: reason == "", NotReady: reason}, f.verdict(now))
	}
}

func TestReadiness_FailedCommitCountsUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err   error
		ready bool
	}{
		"refused":   {err: bus.ErrRefused},
		"unknown":   {err: bus.ErrUncertain},
		"conflict":  {err: bus.ErrConflict, ready: true},
		"too large": {err: bus.ErrTooLarge, ready: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ctx := brieflyAsked(t)
			publish := s.append
			s.append = func(context.Context, *nats.Msg, string, bus.Guard) (uint64, error) {
				return 0, fmt.Errorf("%w: broken", row.err)
			}
			_, err := s.do(ctx, room.EventUserJoin, aliceJoins())
			require.Error(t, err)
			assert.Equal(t, row.ready, s.isReady(time.Now()).Ready)
			assert.True(t, s.isReady(time.Now().Add(failureFades)).Ready, "it fades")
			s.append = publish
			_, err = s.do(t.Context(), room.EventUserJoin, aliceJoins())
			require.NoError(t, err)
			assert.True(t, s.isReady(time.Now()).Ready)
		})
	}
}

// A publish with a lost ack was stored.
func TestReadiness_CommitFoundInStreamIsNoFailure(t *testing.T) {
	t.Parallel()
	s, ctx := brieflyAsked(t)
	publish := s.append
	s.append = func(ctx context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error) {
		_, err := publish(ctx, msg, id, g)
		assert.NoError(t, err)
		return 0, bus.ErrUncertain
	}
	_, err := s.do(ctx, room.EventUserJoin, aliceJoins())
	require.NoError(t, err)
	assert.True(t, s.isReady(time.Now()).Ready)
}

func TestReadiness_StreamGone(t *testing.T) {
	t.Parallel()
	s, _ := twoServices(t)
	require.Equal(t, look{}, s.look(t.Context()))
	require.NoError(t, s.js.DeleteStream(t.Context(), subjects.Events))
	require.ErrorIs(t, s.look(t.Context()).leader, jetstream.ErrStreamNotFound)
}

func TestReadiness_ProjectionAndRegistryBehind(t *testing.T) {
	t.Parallel()
	s, other := twoServices(t)
	s.end() // it reads no more
	createRoom(t, other)
	s.cfg.AckWait = 100 * time.Millisecond
	l := s.look(t.Context())
	assert.EqualValues(t, 1, l.behind)
	assert.Contains(t, l.apps, "the registry of apps is not in sync at the moment")
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
	s, err := Start(t.Context(), nc, Config{WorkerWait: -1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	for _, row := range []struct {
		most int64
		full bool
	}{{-1, false}, {0, true}, {1 << 30, false}} {
		limits := server.JetStreamAccountLimits{
			MaxMemory: -1, MaxStore: row.most, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
		}
		require.NoError(t, ns.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits}))
		assert.Equal(t, look{full: row.full}, s.look(t.Context()), row.most)
	}
}

func TestReadiness_StorageByNumberOfCopies(t *testing.T) {
	t.Parallel()
	tier := func(most int64, used uint64) jetstream.Tier {
		return jetstream.Tier{Store: used, Limits: jetstream.AccountLimits{MaxStore: most}}
	}
	account := &jetstream.AccountInfo{Tiers: map[string]jetstream.Tier{"R1": tier(1<<20, 1<<20), "R3": tier(1<<20, 0)}}
	assert.False(t, hasStorage(account, 1))
	assert.True(t, hasStorage(account, 3))
	assert.False(t, hasStorage(account, 5), "the account may have no streams with so many")
}

// The log has one line when the service becomes unready, and one when it is ready again.
func TestReadiness_BeginAndEndLoggedAndReported(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	told := make(chan Readiness, 10)
	_, s := twoServices(t)
	s.end()
	s.cfg.OnReadiness = func(r Readiness) { told <- r }
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	s.readiness.reported = Readiness{Ready: true}
	step := func(l look) {
		s.readiness.found.Store(&l)
		s.logReadiness(s.reportReadiness())
	}
	step(look{})
	step(look{full: true})
	step(look{full: true})
	step(look{behind: 3})
	step(look{})
	step(look{})
	close(told)
	var all []string
	for r := range told {
		all = append(all, r.NotReady)
	}
	assert.Equal(t, []string{"the JetStream account has no storage left", "the service has yet to read 3 events of stream ROOM_EVENTS", ""}, all)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 2, log.String())
	assert.Contains(t, lines[0], `level=WARN msg="not ready: changes of rooms cannot be committed" reason="the JetStream account has no storage left"`)
	assert.Regexp(t, `level=INFO msg="ready again" outage=\d`, lines[1])
}
