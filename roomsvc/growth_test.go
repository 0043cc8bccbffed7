package roomsvc

import (
	"context"
	"fmt"
	"os"
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
	"github.com/roombus/roombus/subjects"
)

// grown is a room service on a server of its own, all in this process.
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
	_, err = js.CreateStream(b.Context(), eventsConfig())
	require.NoError(b, err)
	g.fill(b, js)
	return g
}

func growthRoom(n int) string { return fmt.Sprintf("room-%07d", n) }

// growthMembers is how many members the room is created with: the first one many.
func growthMembers(n int) int {
	if n == 0 {
		return room.MaxNewMembers
	}
	return growthCreated
}

func growthUser(n int) room.User {
	return room.User{ID: fmt.Sprintf("user-%07d", n), Username: fmt.Sprintf("first.last%d", n)}
}

// fill publishes the events as services would have, but all at once: all rooms are created, then
// joined once, then once more.
func (g *grown) fill(b *testing.B, js jetstream.JetStream) {
	made := time.Now().UTC().Truncate(time.Microsecond)
	for turn := range 1 + growthJoined {
		for n := range g.rooms {
			id := growthRoom(n)
			e := room.Event{
				ID: fmt.Sprintf("c%d-%d", turn, n), Type: room.EventUserJoin, Room: id, Time: made, Version: uint64(turn + 1),
				Data: room.Data{Room: room.Room{
					ID: id, SlugifiedName: id, DisplayName: "Room " + id, Type: room.Channel, Creator: growthUser(n),
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
	require.Equal(b, g.rooms, s.projection.counts().rooms)
	require.Zero(b, s.projection.counts().quarantined)
}

// stop writes a snapshot. The commands, which have all come within minutes, are not in it: they
// are a matter of how many come, not of how many rooms there are.
func (g *grown) stop(b *testing.B) {
	g.s.projection.expire(time.Now().Add(time.Hour))
	began, worked := time.Now(), processor(b)
	require.NoError(b, g.s.Stop(context.WithoutCancel(b.Context())))
	b.ReportMetric(time.Since(began).Seconds(), "s/stop")
	b.ReportMetric(processor(b)-worked, "cpu-s/stop")
	g.s = nil
}

// resident is how much memory the process has, 0 where that is not known.
func resident() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(statm))[1], 64)
	return pages * float64(os.Getpagesize())
}

// processor is the processor time that the process has taken, in seconds.
func processor(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
