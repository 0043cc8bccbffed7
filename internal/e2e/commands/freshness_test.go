package commands_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// lookup reads the room and the user of the event in its handlers, and counts missing ones.
type lookup struct{ found, missing atomic.Int64 }

func (l *lookup) count(found bool) {
	if found {
		l.found.Add(1)
	} else {
		l.missing.Add(1)
	}
}

func (l *lookup) PostRoomCreate(ctx context.Context, e room.Created) error {
	_, err := appworker.Rooms(ctx).Get(ctx, e.Room.ID)
	l.count(err == nil)
	return nil
}

func (l *lookup) PostRoomUserJoined(ctx context.Context, e room.UserJoined) error {
	page, err := appworker.Rooms(ctx).Members(ctx, room.MembersRequest{RoomID: e.Room.ID})
	l.count(err == nil && slices.ContainsFunc(page.Members, func(u room.User) bool { return u.ID == e.JoiningUser.ID }))
	return nil
}

// A handler finds the state of its event in the room, whichever of two services it asks.
func TestHandler_ReadsItsEventsState(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	app := &lookup{}
	b.Work(t, room.Manifest{ID: "lookup"}, app)
	const rooms, joins = 40, 5
	var busy sync.WaitGroup
	for n := range rooms {
		busy.Go(func() {
			id := "r" + strconv.Itoa(n)
			_, err := b.Client.Create(t.Context(), harness.NewRoom(id))
			assert.NoError(t, err)
			for u := range joins {
				_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: id, User: room.User{ID: "u" + strconv.Itoa(u)}})
				assert.NoError(t, err)
			}
		})
	}
	busy.Wait()
	b.RequireDrained(t, "lookup")
	assert.Zero(t, app.missing.Load(), "not found, of %d events", rooms*(1+joins))
	assert.Equal(t, int64(rooms*(1+joins)), app.found.Load())
}

// holdBack keeps all room services from reading more of the stream until release is called.
func holdBack(t *testing.T, b *harness.Bus) (release func()) {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	var names []string
	for c := range stream.ListConsumers(t.Context()).Info() {
		names = append(names, c.Name)
		_, err := stream.PauseConsumer(t.Context(), c.Name, time.Now().Add(time.Hour))
		require.NoError(t, err)
	}
	release = sync.OnceFunc(func() {
		for _, name := range names {
			_, err := stream.ResumeConsumer(context.Background(), name)
			assert.NoError(t, err)
		}
	})
	t.Cleanup(release) // before the services stop, because they first read to the end
	return release
}

// A client of several services reads its own writes from each of them, and never reads an older
// state than before.
func TestClient_ReadsItsOwnWrites(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for range 2 {
		harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	}
	b.Create(t, "r")
	release := holdBack(t, b)
	joined, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	versions := make(chan uint64, 30) // at least one service would return an old state
	var reading sync.WaitGroup
	for range cap(versions) {
		reading.Go(func() {
			r, err := b.Client.Get(t.Context(), "r")
			assert.NoError(t, err)
			versions <- r.Version
		})
	}
	release()
	reading.Wait()
	close(versions)
	for v := range versions {
		assert.Equal(t, joined.Event.Version, v)
	}

	// Other clients change the room meanwhile.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			c := roomclient.New(b.NC, roomclient.Config{})
			_, err := c.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "u" + strconv.Itoa(n)}})
			assert.NoError(t, err)
		}
	})
	last := joined.Event.Version
	for range 300 {
		r, err := b.Client.Get(t.Context(), "r")
		require.NoError(t, err)
		require.GreaterOrEqual(t, r.Version, last)
		last = r.Version
	}
	close(stop)
	writing.Wait()
}

// Without the SDK a client gets an answer at once. The SDK accepts it.
func TestRead_BeyondTheEndOfTheStream(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{Budget: time.Minute})
	b.Create(t, "r")
	reply := b.Request(t, "room.svc.get", `{"roomId":"r"}`, "Room-Min-Seq", "1000")
	assert.Equal(t, "409", reply.Header.Get("Nats-Service-Error-Code"))
	assert.JSONEq(t, `"conflict"`, field(t, reply.Data, "code"))
	assert.Equal(t, "1", reply.Header.Get("Room-Seq"))
	c := roomclient.New(b.NC, roomclient.Config{})
	c.NotOlderThan(1000)
	r, err := c.Get(t.Context(), "r")
	require.NoError(t, err)
	assert.Equal(t, "r", r.ID)
}
