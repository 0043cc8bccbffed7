package commands_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// impatient is an app whose handler makes the joining user join again.
type impatient struct{ got chan error }

func (i impatient) PreRoomUserJoined(ctx context.Context, e room.UserJoin) error {
	_, err := appworker.Rooms(ctx).Join(ctx, room.JoinRequest{RoomID: e.Room.ID, User: e.JoiningUser})
	select {
	case i.got <- err:
	default:
	}
	return nil
}

// A handler cannot change the room that its pre-event is about. The command is refused at once,
// because it would wait for itself until the timeout.
func TestCommandFromHandler_AboutTheRoomItIsAskedAboutIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	app := impatient{make(chan error, 1)}
	b.Work(t, room.Manifest{ID: "impatient", Essentials: scene.OnJoin}, app)
	for _, user := range []string{"a", "b", "c"} {
		r, err := scene.Join(t, b, user)
		require.NoError(t, err)
		assert.Equal(t, room.Allowed, r.Apps[0].Outcome)
		assert.ErrorIs(t, <-app.got, &room.Error{Code: room.CodeInvalidRequest})
	}
}
