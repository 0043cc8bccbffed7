package state_test

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

func quarantined(t *testing.T, b *harness.Bus) uint64 {
	t.Helper()
	var stats struct {
		Endpoints []struct{ Data roomsvc.EndpointData }
	}
	require.NoError(t, json.Unmarshal(b.Request(t, "$SRV.STATS.rooms", "").Data, &stats))
	return stats.Endpoints[0].Data.Quarantined
}

// A message published without the service is not applied, and the room continues after it.
func TestProjection_EventsThatDoNotChainAreQuarantined(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	rogue := []struct{ subject, body string }{
		{"room.post.userjoin.r", `{"room":{"id":"r"},"joiningUser":{"id":"evil"}}`},
		{"room.post.userjoin.r", `garbage`},
		{"room.post.explode.r", `{}`},
		{"room.post.delete.r", ``},
		{"room.post", `{}`}, // not of the stream
		{"room.post.a.b.c.d", `{}`},
	}
	for _, m := range rogue {
		require.NoError(t, b.NC.Publish(m.subject, []byte(m.body)))
	}
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	assert.Equal(t, uint64(2), r.Event.Version)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))
	require.Eventually(t, func() bool { return quarantined(t, b) == 5 }, harness.ReplyTime, harness.Tick, "the join waits for its room's messages only")

	// A service that reads the whole stream again has the same state.
	nc := harness.Connect(t, b.Server)
	require.NoError(t, b.Service.Stop(t.Context()))
	harness.Serve(t, nc, roomsvc.Config{})
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))
	assert.Equal(t, uint64(5), quarantined(t, b))
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
}

// A forged event with correct headers but the wrong predecessor is refused by the stream. A forged
// event without the guard's sequence is refused by the projection.
func TestProjection_ForgedPredecessorIsQuarantined(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	created := b.Create(t, "r")
	e := room.Event{
		ID: "forged", Type: room.EventUserJoin, Room: "r", Replica: "forger", Time: created.Event.Time, Version: 2,
		Data: room.Data{Room: created.Room, JoiningUser: &scene.Alice},
	}
	subject, headers, body, err := subjects.EncodePost(e, "")
	require.NoError(t, err)
	msg := &nats.Msg{Subject: subject, Header: headers, Data: body}
	_, err = harness.Requester(t, b.NC).Append(t.Context(), msg, "forged", bus.Guard{Seq: 99, Filter: subjects.PostsOf("r")})
	require.ErrorIs(t, err, bus.ErrConflict)
	delete(msg.Header, subjects.ExpectedSeq)
	delete(msg.Header, subjects.ExpectedSeqSubject)
	delete(msg.Header, subjects.CommandID)
	_, err = b.JS.PublishMsg(t.Context(), msg)
	require.NoError(t, err)
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
	require.NoError(t, err)

	// This one chains, but its version is not the next.
	last := b.Events(t)
	e.ID, e.Version = "forged-2", 9
	subject, headers, body, err = subjects.EncodePost(e, "")
	require.NoError(t, err)
	_, err = harness.Requester(t, b.NC).Append(t.Context(), &nats.Msg{Subject: subject, Header: headers, Data: body}, e.ID,
		bus.Guard{Seq: last[len(last)-1].Sequence, Filter: subjects.PostsOf("r")})
	require.NoError(t, err)
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Carol})
	require.NoError(t, err, "the room continues after the message")
	assert.Equal(t, []string{"bob", "carol", "owner"}, b.Members(t, "r"))
	assert.Equal(t, uint64(2), quarantined(t, b))
}

// A forged event that follows the room's last event, but names no room service, is not applied.
func TestProjection_EventOfNoReplicaIsQuarantined(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	created := b.Create(t, "r")
	forge := func(replica string, seq uint64) {
		t.Helper()
		e := room.Event{
			ID: "forged-" + strconv.FormatUint(seq, 10), Type: room.EventUserJoin, Room: "r", Replica: replica, Time: created.Event.Time, Version: 2,
			Data: room.Data{Room: created.Room, JoiningUser: &scene.Alice},
		}
		subject, headers, body, err := subjects.EncodePost(e, "")
		require.NoError(t, err)
		_, err = harness.Requester(t, b.NC).Append(t.Context(), &nats.Msg{Subject: subject, Header: headers, Data: body}, e.ID,
			bus.Guard{Seq: seq, Filter: subjects.PostsOf("r")})
		require.NoError(t, err)
	}
	forge("", 1)
	forge("no token", 2)
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
	require.NoError(t, err, "the room continues after the messages")
	assert.EqualValues(t, 2, r.Event.Version)
	assert.Equal(t, []string{"bob", "owner"}, b.Members(t, "r"))
	assert.Equal(t, uint64(2), quarantined(t, b))
}

// The service outlives its NATS server. It continues reading at its last position, including the
// events that others committed meanwhile.
func TestProjection_ServerRestarts(t *testing.T) {
	t.Parallel()
	s := &harness.Restartable{Config: embedded.Config{StoreDir: t.TempDir(), Listen: harness.FreeAddress(t)}}
	s.Start(t)
	t.Cleanup(func() { s.Server.Shutdown() })
	harness.Serve(t, harness.Connect(t, s.Server), roomsvc.Config{})
	b := harness.BusOn(t, s.Server)
	b.Create(t, "r")
	for n := range 3 {
		s.Server.Shutdown()
		s.Start(t)
		moved := harness.BusOn(t, s.Server)
		scene.MoveRoom(t, moved, mustGet(t, moved, n), 2*n)
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "u" + strconv.Itoa(n)}})
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"mover-0", "mover-2", "mover-4", "owner", "u0", "u1", "u2"}, b.Members(t, "r"))
	scene.RequireChained(t, b.Decoded(t))
}

// mustGet returns room r as of its last event.
func mustGet(t *testing.T, b *harness.Bus, n int) room.Room {
	t.Helper()
	events := b.Decoded(t)
	require.Len(t, events, 1+2*n)
	return events[len(events)-1].Data.Room
}

// A recreated stream is another stream: the service drops the state of the old one.
func TestProjection_StreamRecreated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &harness.Restartable{Config: embedded.Config{StoreDir: filepath.Join(dir, "a"), Listen: harness.FreeAddress(t)}}
	s.Start(t)
	t.Cleanup(func() { s.Server.Shutdown() })
	harness.Serve(t, harness.Connect(t, s.Server), roomsvc.Config{})
	b := harness.BusOn(t, s.Server)
	b.Create(t, "old")
	s.Server.Shutdown()
	s.Config.StoreDir = filepath.Join(dir, "b")
	s.Start(t)
	other := harness.Connect(t, s.Server)
	js, err := jetstream.New(other)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.Events, Subjects: []string{subjects.AllEvents}, DenyDelete: true, Discard: jetstream.DiscardNew})
	require.NoError(t, err)
	_, err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: subjects.AppsBucket})
	require.NoError(t, err)
	_, err = b.Client.Create(t.Context(), harness.NewRoom("new"))
	require.NoError(t, err)
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "old", User: scene.Alice})
	assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
}
