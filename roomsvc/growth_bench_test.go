package roomsvc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// Sizes of BenchmarkGrowth. Each room has five members, of which three are in its create event. One
// room has a thousand times as many. For comparison there are a thousand rooms.
const (
	growthRooms   = 1_000_000 // or as many as ROOMBUS_GROWTH_ROOMS says
	growthFew     = 1_000
	growthCreated = 3
	growthJoined  = 2
	growthSenders = 16
	growthJoins   = 8_000 // in a round
	growthRounds  = 5
	growthReads   = 20_000
)

// BenchmarkGrowth measures a service with a million rooms and five million memberships: its memory
// and start, and its speed compared with a thousand rooms.
func BenchmarkGrowth(b *testing.B) {
	rooms := growthRooms
	if n, err := strconv.Atoi(os.Getenv("ROOMBUS_GROWTH_ROOMS")); err == nil {
		rooms = n
	}
	g, small := newGrown(b, rooms), newGrown(b, growthFew)
	once := func(name string, measure func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				measure(b)
			}
		})
	}
	before := heap()
	once("start/stream", g.start)
	once("stop", func(b *testing.B) {
		g.stop(b)
		b.ReportMetric(float64(g.snapshot(b).Size)/1e6, "MB")
	})
	debug.FreeOSMemory()
	server := resident()
	once("start/snapshot", func(b *testing.B) {
		g.start(b)
		b.ReportMetric(resident()/1e6, "MB-resident")
		b.ReportMetric(server/1e6, "MB-resident-before")
		bytes := heap() - before
		b.ReportMetric(bytes/1e6, "MB-heap")
		b.ReportMetric(bytes/float64(rooms), "B/room")
		debug.FreeOSMemory()
		b.ReportMetric((resident()-server)/1e6, "MB-resident-more")
	})
	small.start(b)
	b.Cleanup(func() { g.stop(b); small.stop(b) })
	once("reads/idle", g.reads)
	once("joins", func(b *testing.B) { compare(b, g, small) })
	once("reads/joins", func(b *testing.B) {
		stop := g.keepJoining(b)
		defer stop()
		g.reads(b)
	})
	once("snapshot/joins", g.stall)
}

// snapshot returns the metadata of the current snapshot.
func (g *grown) snapshot(b *testing.B) *jetstream.ObjectInfo {
	js, err := jetstream.New(g.nc)
	require.NoError(b, err)
	store, err := js.ObjectStore(b.Context(), subjects.Snapshots)
	require.NoError(b, err)
	object, err := store.GetInfo(b.Context(), subjects.Snapshot)
	require.NoError(b, err)
	return object
}

// report reports the quantiles of a measurement under that name.
func report(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	for _, q := range []struct {
		name string
		part float64
	}{{"p50", .5}, {"p99", .99}, {"p999", .999}, {"max", 1}} {
		b.ReportMetric(float64(took[int(q.part*float64(len(took)-1))].Microseconds()), "us-"+name+"-"+q.name)
	}
}

// reads requests a room, its members, a page of the large room's members, and pages of rooms without
// and with filters in turn, as the endpoints do but without the network.
func (g *grown) reads(b *testing.B) {
	took := make(map[string][]time.Duration)
	endpoints := g.s.endpoints.list()
	for range growthReads {
		n := rand.N(g.rooms)
		id := growthRoom(n)
		for _, r := range []struct{ name, endpoint, request string }{
			{"get", subjects.Get, fmt.Sprintf(`{"roomId":%q}`, id)},
			{"members", subjects.Members, fmt.Sprintf(`{"roomId":%q}`, id)},
			{"100members", subjects.Members, fmt.Sprintf(`{"roomId":%q,"cursor":%q}`, growthRoom(0), growthUser(rand.N(room.MaxNewMembers)).ID)},
			{"100rooms", subjects.List, fmt.Sprintf(`{"cursor":%q}`, id)},
			{"rooms-of-member", subjects.List, fmt.Sprintf(`{"member":%q}`, growthUser(rand.N(g.rooms)).ID)},
			{"room-by-name", subjects.List, fmt.Sprintf(`{"slugifiedNamePrefix":%q}`, g.name(n))},
			{"100rooms-by-name", subjects.List, fmt.Sprintf(`{"slugifiedNamePrefix":%q}`, g.name(n)[:len(g.name(n))-2])},
			{"100rooms-of-type", subjects.List, fmt.Sprintf(`{"type":%q,"cursor":%q}`, room.Channel, id)},
			{"rooms-of-rare-type", subjects.List, fmt.Sprintf(`{"type":%q,"cursor":%q}`, room.LiveChat, id)},
		} {
			at := slices.IndexFunc(endpoints, func(e bus.Endpoint) bool { return e.Name == r.endpoint })
			began := time.Now()
			_, _, err := endpoints[at].Arrive(&nats.Msg{Data: []byte(r.request)}, began)()
			took[r.name] = append(took[r.name], time.Since(began))
			require.NoError(b, err)
		}
	}
	for name, took := range took {
		report(b, name, took)
	}
}

// each calls do for rooms spread over all rooms, from all senders concurrently. No two senders use
// the same room.
func (g *grown) each(rooms, times int, do func(id string, u room.User) error) ([]time.Duration, error) {
	var senders sync.WaitGroup
	took := make([]time.Duration, times)
	errs := make(chan error, growthSenders)
	for sender := range growthSenders {
		senders.Go(func() {
			for n := sender; n < times; n += growthSenders {
				at := (rand.N(rooms/growthSenders)*growthSenders + sender) * (g.rooms / rooms)
				u := room.User{ID: fmt.Sprintf("guest-%07d", g.users+n), Username: "guest"}
				began := time.Now()
				if err := do(growthRoom(at), u); err != nil {
					errs <- err
					return
				}
				took[n] = time.Since(began)
			}
		})
	}
	senders.Wait()
	g.users += times
	close(errs)
	return took, <-errs
}

// join sends a join command from another connection.
func (g *grown) join(id string, u room.User) error {
	request := fmt.Appendf(nil, `{"roomId":%q,"user":{"id":%q,"username":%q}}`, id, u.ID, u.Username)
	reply, err := g.clients.Request(subjects.Room(subjects.Join), request, 10*time.Second)
	if err == nil && !strings.HasPrefix(string(reply.Data), `{"changed":true`) {
		err = fmt.Errorf("joining %s: %s", id, reply.Data)
	}
	return err
}

// commit is the part of a join without the service: a guarded publish of the event.
func (g *grown) commit(id string, u room.User) error {
	c := rules.Command{ID: "raw-" + u.ID + id, Time: time.Now(), Bounds: rules.Bounds{MaxBytes: 1 << 20}, Request: room.JoinRequest{RoomID: id, User: u}}
	view, _ := g.s.projection.View(c)
	draft, err := rules.Decide(view, c)
	if err != nil {
		return err
	}
	if o := g.s.commands.committer.commit(context.Background(), c, view, *draft); o.fate != answered {
		return fmt.Errorf("committing: %w", o.err)
	}
	return nil
}

// compare measures joins of all rooms, of a thousand of them, and of a service with only a thousand
// rooms, in turn. Then it measures the commits alone.
func compare(b *testing.B, g, small *grown) {
	const all, few, alone = "all", "few", "alone"
	rates, work := make(map[string][]float64), make(map[string]float64)
	for round := range 1 + growthRounds {
		runtime.GC()
		for name, do := range map[string]func(*grown) func(string, room.User) error{
			"join":   func(g *grown) func(string, room.User) error { return g.join },
			"commit": func(g *grown) func(string, room.User) error { return g.commit },
		} {
			for where, c := range map[string]struct {
				g     *grown
				rooms int
			}{all: {g, g.rooms}, few: {g, growthFew}, alone: {small, growthFew}} {
				began, worked := time.Now(), processor(b)
				_, err := c.g.each(c.rooms, growthJoins, do(c.g))
				require.NoError(b, err)
				rate := growthJoins / time.Since(began).Seconds()
				if round == 0 {
					b.ReportMetric(rate, "first-"+name+"-"+where+"/s")
					continue
				}
				rates[name+"-"+where] = append(rates[name+"-"+where], rate)
				work[name+"-"+where] += processor(b) - worked
			}
		}
	}
	for _, name := range []string{"join", "commit"} {
		for _, where := range []string{all, few, alone} {
			b.ReportMetric(median(rates[name+"-"+where]), name+"-"+where+"/s")
			b.ReportMetric(work[name+"-"+where]*1e6/(growthRounds*growthJoins), "cpu-us/"+name+"-"+where)
		}
		for _, where := range []string{few, alone} {
			var ratios []float64
			for round, rate := range rates[name+"-"+where] {
				ratios = append(ratios, rates[name+"-"+all][round]/rate)
			}
			b.ReportMetric(median(ratios), name+"-all:"+where)
		}
	}
}

func median(of []float64) float64 {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// keepJoining sends joins until it is stopped, and returns how long they took.
func (g *grown) keepJoining(b *testing.B) (stop func() []time.Duration) {
	ended, joined := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for {
			took, err := g.each(g.rooms, growthJoins/10, g.join)
			if err != nil {
				b.Error(err)
			}
			all = append(all, took...)
			select {
			case <-ended:
				joined <- all
				return
			default:
			}
		}
	}()
	return func() []time.Duration {
		close(ended)
		return <-joined
	}
}

// stall measures joins while a snapshot is written and while none is, and how long a change of the
// projection waits for the lock.
func (g *grown) stall(b *testing.B) {
	measure := func(name string, until func()) {
		joining, locking := g.keepJoining(b), g.keepLocking()
		until()
		report(b, name+"-join", joining())
		report(b, name+"-lock", locking())
	}
	before := g.snapshot(b)
	began := time.Now()
	measure("during", func() { g.s.snapshots.TakeLast(b.Context(), g.s.projection) })
	written := time.Since(began)
	require.NotEqual(b, before.NUID, g.snapshot(b).NUID)
	b.ReportMetric(written.Seconds(), "s/snapshot")
	measure("without", func() { <-time.After(written) })
}

// keepLocking locks the projection as a commit does until it is stopped.
func (g *grown) keepLocking() (stop func() []time.Duration) {
	ended, locked := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for pause := time.NewTicker(200 * time.Microsecond); ; {
			select {
			case <-pause.C:
				began := time.Now()
				g.s.projection.Forget("no room", 0)
				all = append(all, time.Since(began))
			case <-ended:
				locked <- all
				return
			}
		}
	}()
	return func() []time.Duration {
		close(ended)
		return <-locked
	}
}
