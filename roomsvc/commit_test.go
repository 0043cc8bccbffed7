package roomsvc

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

// brieflyAsked returns a service with a room, and a context for a command that has little time.
func brieflyAsked(t *testing.T) (*Service, context.Context) {
	t.Helper()
	s, _ := twoServices(t)
	createRoom(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return s, ctx
}

// The service waits for a publish also after the deadline of the command. The event may be stored,
// so the client must not get an error that says otherwise.
func TestCommit_PublishContinuesAfterDeadline(t *testing.T) {
	t.Parallel()
	s, ctx := brieflyAsked(t)
	publish := s.commands.committer.append
	s.commands.committer.append = func(waiting context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error) {
		<-ctx.Done()
		return publish(waiting, msg, id, g)
	}
	result, err := s.do(ctx, room.EventUserJoin, aliceJoins())
	require.NoError(t, err)
	assert.True(t, result.(room.Result).Changed)
}

// The service looks for a commit whose ack is lost also after the deadline of the command.
func TestCommit_LostAckFoundAfterDeadline(t *testing.T) {
	t.Parallel()
	s, ctx := brieflyAsked(t)
	publish := s.commands.committer.append
	s.commands.committer.append = func(waiting context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error) {
		_, err := publish(waiting, msg, id, g)
		assert.NoError(t, err)
		<-ctx.Done()
		return 0, bus.ErrUncertain
	}
	result, err := s.do(ctx, room.EventUserJoin, aliceJoins())
	require.NoError(t, err)
	assert.True(t, result.(room.Result).Changed)
}

// While the outcome of a publish is unknown, the error says so.
func TestCommit_UnknownOutcomeIsUnavailable(t *testing.T) {
	t.Parallel()
	s, ctx := brieflyAsked(t)
	s.commands.committer.append = func(context.Context, *nats.Msg, string, bus.Guard) (uint64, error) {
		<-ctx.Done()
		return 0, bus.ErrUncertain
	}
	_, err := s.do(ctx, room.EventUserJoin, aliceJoins())
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
}

// A command that is sent again during its first publish gets an error that leaves the outcome open.
func TestCommit_ResentCommandUnavailableDuringFirstPublish(t *testing.T) {
	t.Parallel()
	s, _ := twoServices(t)
	createRoom(t, s)
	published, goOn := make(chan struct{}), make(chan struct{})
	publish := s.commands.committer.append
	s.commands.committer.append = func(ctx context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error) {
		close(published)
		<-goOn
		return publish(ctx, msg, id, g)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := s.do(ctx, room.EventUserJoin, aliceJoins())
		done <- err
	}()
	<-published
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.do(short, room.EventUserJoin, aliceJoins())
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	close(goOn)
	require.NoError(t, <-done)
}
