package roomsvc

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// grown is a room service with its server, all in this process.
type grown struct {
	nc      *nats.Conn // the service's
	clients *nats.Conn
	s       *Service
	rooms   int
	users   int // so many have come since
}

func newGrown(b *testing.B, rooms int) *grown {
	server, err := embedded.Start(b.Context(), embedded.Config{StoreDir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(server.Shutdown)
	g := &grown{rooms: rooms}
	for _, nc := range []**nats.Conn{&g.nc, &g.clients} {
		*nc, err = server.Connect()
		require.NoError(b, err)
		b.Cleanup((*nc).Close)
	}
	js, err := jetstream.New(g.nc, jetstream.WithPublishAsyncMaxPending(2000))
	require.NoError(b, err)
	_, err = js.CreateStream(b.Context(), streams.Configs(1)[0])
	require.NoError(b, err)
	g.fill(b, js)
	return g
}

func growthRoom(n int) string { return fmt.Sprintf("room-%07d", n) }

// name returns the slugified name of a room. The order of the names is not that of the ids.
func (g *grown) name(n int) string { return fmt.Sprintf("talk-%07d", n*7919%g.rooms) }

// growthType returns the type of a room. Ten of a million rooms have the rare type.
func growthType(n int) room.Type {
	if n%100_000 == 50_000 {
		return room.LiveChat
	}
	return room.Channel
}

// growthMembers returns the number of members that the room is created with. The first room has
// many.
func growthMembers(n int) int {
	if n == 0 {
		return room.MaxNewMembers
	}
	return growthCreated
}

func growthUser(n int) room.User {
	return room.User{ID: fmt.Sprintf("user-%07d", n), Username: fmt.Sprintf("first.last%d", n)}
}

// fill publishes the events of the rooms concurrently: first all create events, then two joins for
// each room.
func (g *grown) fill(b *testing.B, js jetstream.JetStream) {
	made := time.Now().UTC().Truncate(time.Microsecond)
	for turn := range 1 + growthJoined {
		for n := range g.rooms {
			id := growthRoom(n)
			e := room.Event{
				ID: fmt.Sprintf("c%d-%d", turn, n), Type: room.EventUserJoin, Room: id, Replica: "s1", Time: made, Version: uint64(turn + 1),
				Data: room.Data{Room: room.Room{
					ID: id, SlugifiedName: g.name(n), DisplayName: "Room " + id, Type: growthType(n), Creator: growthUser(n),
					Description: "What is talked about in " + id, CreatedAt: made, MemberCount: growthMembers(n) + turn, Version: uint64(turn + 1),
				}},
			}
			if turn == 0 {
				e.Type = room.EventCreate
				for m := range growthMembers(n) {
					e.Data.Members = append(e.Data.Members, growthUser(n+m))
				}
			} else {
				e.Expected = uint64((turn-1)*g.rooms + n + 1)
				e.Previous = room.Latest{Create: uint64(n + 1)}
				if turn > 1 {
					e.Previous.UserJoin = e.Expected
				}
				e.Data.JoiningUser = new(growthUser(n + growthMembers(n) - 1 + turn))
			}
			subject, headers, body, err := subjects.EncodePost(e, "")
			require.NoError(b, err)
			_, err = js.PublishMsgAsync(&nats.Msg{Subject: subject, Header: headers, Data: body}, jetstream.WithMsgID(e.ID),
				jetstream.WithExpectLastSequenceForSubject(e.Expected, subjects.PostsOf(id)), jetstream.WithStallWait(time.Minute))
			require.NoError(b, err)
		}
	}
	<-js.PublishAsyncComplete()
}

func (g *grown) start(b *testing.B) {
	began, worked := time.Now(), processor(b)
	s, err := Start(b.Context(), g.nc, Config{SnapshotEvery: -1})
	require.NoError(b, err)
	b.ReportMetric(time.Since(began).Seconds(), "s/start")
	b.ReportMetric(processor(b)-worked, "cpu-s/start")
	g.s = s
	require.Equal(b, g.rooms, s.projection.Stats().Rooms)
	require.Zero(b, s.projection.Stats().Quarantined)
}

// stop writes a snapshot without the remembered commands. Their number depends on the rate of
// commands, not on the number of rooms.
func (g *grown) stop(b *testing.B) {
	g.s.projection.Expire(time.Now().Add(time.Hour))
	began, worked := time.Now(), processor(b)
	require.NoError(b, g.s.Stop(context.WithoutCancel(b.Context())))
	b.ReportMetric(time.Since(began).Seconds(), "s/stop")
	b.ReportMetric(processor(b)-worked, "cpu-s/stop")
	g.s = nil
}

// heap returns the memory in use after a collection.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// resident returns the memory of the process, 0 where that is unknown.
func resident() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(statm))[1], 64)
	return pages * float64(os.Getpagesize())
}

// processor returns the processor time of the process in seconds.
func processor(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
