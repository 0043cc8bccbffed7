package commands_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// The time of an event is the time of its decision. It is later than that of the room's previous
// event, even if the command arrived before the other one, and if the other replica's clock is
// ahead.
func TestEventTime_NeverRunsBackwards(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "slow", Implements: scene.OnJoin, TimeoutMs: new(10_000)})
	asked := make(chan *nats.Msg, 1)
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) {
		select {
		case asked <- msg:
		default: // a retry, because the room has moved
			scene.Allow(msg)
		}
	})
	first := scene.Joining(t, b, "r", scene.Alice)
	held := <-asked
	// Another replica, whose clock is an hour ahead, commits meanwhile.
	var d room.Data
	require.NoError(t, json.Unmarshal(held.Data, &d))
	ahead := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	d.Room.Version++
	e := room.Event{ID: "ahead", Type: room.EventUserJoin, Room: "r", Replica: "other", Time: ahead, Version: d.Room.Version, Data: room.Data{Room: d.Room, JoiningUser: &scene.Bob}}
	subject, headers, body, err := subjects.EncodePost(e, "")
	require.NoError(t, err)
	_, err = harness.Requester(t, b.NC).Append(t.Context(), &nats.Msg{Subject: subject, Header: headers, Data: body}, e.ID,
		bus.Guard{Seq: 1, Filter: subjects.PostsOf("r")})
	require.NoError(t, err)
	scene.Allow(held)
	r, err := first.Wait(t)
	require.NoError(t, err)
	assert.True(t, r.Event.Time.Equal(ahead), "%s", r.Event.Time)

	// The same holds after a restart from a snapshot, and for a room that is created again.
	nc := harness.Connect(t, b.Server)
	require.NoError(t, b.Service.Stop(t.Context()))
	harness.Serve(t, nc, roomsvc.Config{})
	_, err = b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "r"})
	require.NoError(t, err)
	made := b.Create(t, "r")
	assert.False(t, made.Room.CreatedAt.Before(ahead))
	last := time.Time{}
	for _, e := range b.Decoded(t) {
		assert.False(t, e.Time.Before(last), "event %d", e.Seq)
		last = e.Time
	}
}

func TestEventTime_IsThatOfTheDecision(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "slow", Implements: scene.OnJoin, TimeoutMs: new(10_000)})
	asked := make(chan *nats.Msg, 1)
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) { asked <- msg })
	join := scene.Joining(t, b, "r", scene.Alice)
	held := <-asked
	answered := time.Now().Truncate(time.Microsecond)
	scene.Allow(held)
	r, err := join.Wait(t)
	require.NoError(t, err)
	assert.False(t, r.Event.Time.Before(answered), fmt.Sprint(r.Event.Time))
}
