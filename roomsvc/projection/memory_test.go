package projection

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// fed is a projection that reads encoded events.
type fed struct {
	p   *Projection
	seq uint64
}

// consume encodes the event and reads it.
func (f *fed) consume(b *testing.B, e room.Event) {
	f.seq++
	e.ID, e.Replica, e.Time = "c"+strconv.FormatUint(f.seq, 10), "s1", streamMade
	subject, headers, body, err := subjects.EncodePost(e, "")
	require.NoError(b, err)
	headers[subjects.ExpectedSeq] = []string{strconv.FormatUint(e.Expected, 10)}
	headers[subjects.ExpectedSeqSubject] = []string{subjects.PostsOf(e.Room)}
	e, err = subjects.DecodePost(subject, headers, body, f.seq)
	require.NoError(b, err)
	require.NoError(b, f.p.consume(e, time.Time{})) // long ago: commands are not remembered
}

func benchRoom(n int) room.Room {
	id := fmt.Sprintf("room-%06d", n)
	return room.Room{ID: id, SlugifiedName: id, DisplayName: "Room " + id, Type: room.Channel, Creator: room.User{ID: "user-000000"}, CreatedAt: streamMade}
}

// create makes a room with that number of members. Half of them are in its create event. Each user is
// a member of as many rooms.
func (f *fed) create(b *testing.B, n, members int, user func(int) room.User) {
	data := room.Data{Room: benchRoom(n)}
	for m := range members / 2 {
		data.Members = append(data.Members, user(n+m))
	}
	f.consume(b, room.Event{Type: room.EventCreate, Room: data.Room.ID, Version: 1, Data: data})
	for m := members / 2; m < members; m++ {
		s := f.p.rooms.byID[data.Room.ID]
		f.consume(b, room.Event{
			Type: room.EventUserJoin, Room: data.Room.ID, Expected: s.Seq, Version: s.Room.Version + 1,
			Data: room.Data{Room: data.Room, JoiningUser: new(user(n + m))},
		})
	}
}

func (f *fed) remove(b *testing.B, n int) {
	r := benchRoom(n)
	s := f.p.rooms.byID[r.ID]
	f.consume(b, room.Event{Type: room.EventDelete, Room: r.ID, Expected: s.Seq, Version: s.Room.Version + 1, Data: room.Data{Room: r}})
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkMemory measures the memory of the projection for a million memberships, and for rooms
// without their members.
func BenchmarkMemory(b *testing.B) {
	named := func(n int) room.User {
		return room.User{ID: fmt.Sprintf("user-%06d", n), Username: fmt.Sprintf("first.last%d", n), Name: fmt.Sprintf("First Last %d", n)}
	}
	bare := func(n int) room.User { return room.User{ID: fmt.Sprintf("user-%06d", n)} }
	for _, c := range []struct {
		name           string
		rooms, members int
		user           func(int) room.User
		deleted        bool
	}{
		{"200000rooms/empty", 200_000, 0, bare, false},
		{"200000rooms/deleted", 200_000, 5, named, true},
		{"200000rooms/5members/named", 200_000, 5, named, false},
		{"200000rooms/5members/bare", 200_000, 5, bare, false},
		{"1000rooms/1000members/named", 1_000, 1_000, named, false},
		{"1000rooms/1000members/bare", 1_000, 1_000, bare, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				before := heap()
				f := &fed{p: newProjection(streamMade)}
				for n := range c.rooms {
					f.create(b, n, c.members, c.user)
					if c.deleted {
						f.remove(b, n)
					}
				}
				bytes := heap() - before
				b.ReportMetric(bytes/1e6, "MB")
				b.ReportMetric(bytes/float64(c.rooms), "B/room")
				if c.members > 0 && !c.deleted {
					empty := &fed{p: newProjection(streamMade)}
					before := heap()
					for n := range c.rooms {
						empty.create(b, n, 0, c.user)
					}
					b.ReportMetric((bytes-(heap()-before))/float64(c.rooms*c.members), "B/membership")
					runtime.KeepAlive(empty)
				}
				runtime.KeepAlive(f)
			}
		})
	}
}
