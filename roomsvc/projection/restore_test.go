package projection

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// Both ways to look for the events of live rooms have the same result.
func TestRestore_PurgedEventsOfLiveRoomsAreFound(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := nats.Connect(server.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.Events, Subjects: []string{subjects.AllEvents}})
	require.NoError(t, err)
	for _, subject := range []string{ // sequences 1 to 6
		"room.post.create.first", "room.post.create.lobby", "room.post.userjoin.lobby", "room.post.create.gone",
		"room.post.delete.gone", "room.post.create.last",
	} {
		_, err := js.Publish(t.Context(), subject, nil)
		require.NoError(t, err)
	}
	p := newProjection(streamMade)
	lives := func(id string, l room.Latest) {
		p.rooms.byID[id] = &rules.State{Room: &room.Room{ID: id}, Latest: l}
	}
	lives("first", room.Latest{Create: 1})
	lives("lobby", room.Latest{Create: 2, UserJoin: 3})
	p.rooms.byID["gone"] = &rules.State{Latest: room.Latest{Create: 4, Delete: 5}}
	o := origin{stream: stream}
	looks := map[string]func(context.Context, *Projection) error{"events": o.checkEventsBySeq, "subjects": o.checkEventsBySubject}
	for name, look := range looks {
		require.NoError(t, look(t.Context(), p), name)
	}
	for _, c := range []struct{ purged, room, says string }{
		{subjects.PostsOf("gone"), "gone", ""},                                 // as the retention does
		{"room.post.create.first", "first", "whose create events were purged"}, // now the stream begins at 2
		{"room.post.userjoin.lobby", "lobby", "whose userjoin events were purged"},
	} {
		require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject(c.purged)))
		for name, look := range looks {
			if err := look(t.Context(), p); c.says == "" {
				require.NoError(t, err, name)
			} else {
				assert.ErrorContains(t, err, c.says, name)
			}
		}
		delete(p.rooms.byID, c.room)
	}
}
