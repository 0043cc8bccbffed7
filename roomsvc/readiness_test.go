package roomsvc

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/health"
)

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
			publish := s.commands.committer.append
			s.commands.committer.append = func(context.Context, *nats.Msg, string, bus.Guard) (uint64, error) {
				return 0, fmt.Errorf("%w: broken", row.err)
			}
			_, err := s.do(ctx, room.EventUserJoin, aliceJoins())
			require.Error(t, err)
			assert.Equal(t, row.ready, s.health.Readiness(time.Now()).Ready)
			s.commands.committer.append = publish
			_, err = s.do(t.Context(), room.EventUserJoin, aliceJoins())
			require.NoError(t, err)
			assert.True(t, s.health.Readiness(time.Now()).Ready)
		})
	}
}

// A publish with a lost ack was stored.
func TestReadiness_CommitFoundInStreamIsNoFailure(t *testing.T) {
	t.Parallel()
	s, ctx := brieflyAsked(t)
	publish := s.commands.committer.append
	s.commands.committer.append = func(ctx context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error) {
		_, err := publish(ctx, msg, id, g)
		assert.NoError(t, err)
		return 0, bus.ErrUncertain
	}
	_, err := s.do(ctx, room.EventUserJoin, aliceJoins())
	require.NoError(t, err)
	assert.True(t, s.health.Readiness(time.Now()).Ready)
}

func TestReadiness_ProjectionAndRegistryBehind(t *testing.T) {
	t.Parallel()
	s, other := twoServices(t)
	s.end() // it reads no more
	createRoom(t, other)
	cfg := health.Config{
		Conn: s.nc, JetStream: s.js, AckWait: 100 * time.Millisecond, Logger: s.cfg.Logger,
		Rooms: func() health.Rooms { return s.projection }, AwaitApps: s.registry.AwaitSync,
	}
	assert.Contains(t, firstReport(t, cfg), "the registry of apps is not in sync at the moment")
	cfg.AwaitApps = other.registry.AwaitSync
	assert.Equal(t, "the service has yet to read 1 events of stream ROOM_EVENTS", firstReport(t, cfg))
}

// firstReport returns why a started service with that health is not ready.
func firstReport(t *testing.T, cfg health.Config) (reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cfg.OnReadiness = func(r health.Readiness) { reason = r.NotReady; cancel() }
	h := health.New(cfg)
	h.Started()
	h.Run(ctx)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "there is no report")
	return reason
}
