package fault_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// fragile is an app that one user's events kill.
const fragile = "fragile"

// An event that kills workers becomes a dead letter. The events behind it in its room, which the
// same workers held each time without beginning them, do not.
func TestPoisonEvent_OnlyItBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: fragile, Implements: []room.Interface{room.PostRoomUserJoined}})
	b.SetAckWait(t, fragile, time.Second)
	b.Create(t, "r")
	for _, user := range []string{"poison", "u"} {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: user}}, roomclient.WithID(user))
		require.NoError(t, err)
	}
	rec := records{t.TempDir()}
	keepWorker(t, b.Server.URL(), fragile, rec)
	b.RequireDrained(t, fragile)
	letters := b.Stored(t, subjects.DeadLetters)
	require.Len(t, letters, 1)
	letter, err := subjects.DecodeDead(letters[0].Subject, letters[0].Header)
	require.NoError(t, err)
	assert.Equal(t, "poison", letter.ID)
	handled := rec.handled(t, fragile)
	require.Len(t, handled, 1)
	assert.Equal(t, "u", handled[0].event)
}
