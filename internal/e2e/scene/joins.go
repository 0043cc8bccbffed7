package scene

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// MoveRoom commits a join as another replica of the service would.
func MoveRoom(t testing.TB, b *harness.Bus, r room.Room, n int) {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	last, err := stream.GetLastMsgForSubject(t.Context(), subjects.PostsOf(r.ID))
	require.NoError(t, err)
	r.Version++
	e := room.Event{
		ID: "other-" + strconv.Itoa(n), Type: room.EventUserJoin, Room: r.ID, Replica: "other", Time: time.Now(), Version: r.Version,
		Data: room.Data{Room: r, JoiningUser: &room.User{ID: "mover-" + strconv.Itoa(n)}},
	}
	subject, headers, body, err := subjects.EncodePost(e, "")
	require.NoError(t, err)
	_, err = harness.Requester(t, b.NC).Append(t.Context(), &nats.Msg{Subject: subject, Header: headers, Data: body}, e.ID,
		bus.Guard{Seq: last.Sequence, Filter: subjects.PostsOf(r.ID)})
	require.NoError(t, err)
}

// JoinWithin joins room r with that timeout.
func JoinWithin(t testing.TB, c *roomclient.Client, user string, patience time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := c.Join(ctx, room.JoinRequest{RoomID: "r", User: room.User{ID: user}})
	return err
}

// Join lets a user join room r.
func Join(t testing.TB, b *harness.Bus, user string) (room.Result, error) {
	t.Helper()
	return b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: user}})
}

// Pending is a command that runs in another goroutine.
type Pending chan pendingResult

type pendingResult struct {
	room.Result
	err error
}

// Joining sends a join without waiting for it.
func Joining(t testing.TB, b *harness.Bus, roomID string, u room.User) Pending {
	t.Helper()
	p := make(Pending, 1)
	go func() {
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: u})
		p <- pendingResult{r, err}
	}()
	return p
}

// Wait waits for the end of the command.
func (p Pending) Wait(t testing.TB) (room.Result, error) {
	t.Helper()
	r := <-p
	return r.Result, r.err
}

// NotYet requires that the command has not ended.
func (p Pending) NotYet(t testing.TB) {
	t.Helper()
	select {
	case r := <-p:
		t.Fatalf("it was to wait, not to end with %+v", r)
	default:
	}
}

// JoinEach lets users join a room, one after the other.
func JoinEach(t testing.TB, b *harness.Bus, roomID string, users ...string) {
	t.Helper()
	for _, u := range users {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: room.User{ID: u}})
		require.NoError(t, err)
	}
}

// Seat lets a user join a room.
func Seat(t testing.TB, b *harness.Bus, id string, u room.User) {
	t.Helper()
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: id, User: u})
	require.NoError(t, err)
}
