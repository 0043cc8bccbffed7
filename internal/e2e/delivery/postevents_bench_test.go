package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/internal/interrupt"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// drainWorker is the environment variable that makes the test program a worker of BenchmarkDrain;
// its value is the kind. drainApp is its app.
const (
	drainWorker = "ROOMBUS_TEST_DRAIN"
	drainApp    = "ROOMBUS_TEST_DRAIN_APP"
)

// drainKinds are the compared workers: two without roombus, of which the second decodes the event
// as any app does, and two of the SDK.
var drainKinds = []string{"bare", "reading", "unordered", "ordered"}

// BenchmarkDrain measures how many post-events per second worker processes handle with an empty
// handler. The four kinds take turns, so that other load on the machine affects all of them. Only
// the ratios are meaningful.
func BenchmarkDrain(b *testing.B) {
	const rooms, events = 1000, 50_000
	bus := harness.New(b, roomsvc.Config{})
	fillJoins(b, bus, rooms, events)
	run := 0
	for _, workers := range []int{1, 2, 4} {
		b.Run("workers="+strconv.Itoa(workers), func(b *testing.B) {
			rates, cost, served := make(map[string][]float64), make(map[string][]float64), make(map[string][]float64)
			for b.Loop() {
				for _, kind := range drainKinds {
					run++
					before := ownCPU(b)
					took, cpu := drain(b, bus, "app"+strconv.Itoa(run), kind, workers)
					rates[kind] = append(rates[kind], events/took.Seconds())
					cost[kind] = append(cost[kind], float64(cpu.Microseconds())/events)
					served[kind] = append(served[kind], float64((ownCPU(b)-before).Microseconds())/events)
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, kind := range drainKinds {
				b.ReportMetric(median(rates[kind]), kind+"/s")
				b.ReportMetric(median(cost[kind]), kind+"-µs")
				b.ReportMetric(median(served[kind]), kind+"-server-µs")
			}
			for _, kind := range drainKinds[2:] {
				b.ReportMetric(median(rates[kind])/median(rates["bare"]), kind+"/bare")
				b.ReportMetric(median(rates[kind])/median(rates["reading"]), kind+"/reading")
			}
		})
	}
}

// ownCPU returns the processor time of this process, which contains the server.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(of []float64) float64 {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// BenchmarkDeliveryLatency measures the median time from a command to the call of the handler,
// without other load.
func BenchmarkDeliveryLatency(b *testing.B) {
	const events = 500
	bus := harness.New(b, roomsvc.Config{})
	bus.Create(b, "r")
	n := 0
	for _, kind := range []string{"bare", "ordered"} {
		b.Run(kind, func(b *testing.B) {
			m := room.Manifest{ID: kind, Implements: []room.Interface{room.PostRoomUserJoined}}
			told := make(chan struct{})
			if kind == "bare" {
				bus.Register(b, m)
				b.Cleanup(bare(b, bus, m.ID, func() { told <- struct{}{} }))
			} else {
				stop := bus.Work(b, m, appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error {
					told <- struct{}{}
					return nil
				}})
				b.Cleanup(func() { _ = stop() })
			}
			var took []float64
			for b.Loop() {
				for range events {
					n++
					began, joined := time.Now(), make(chan struct{})
					go func() {
						defer close(joined)
						_, err := bus.Client.Join(b.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "u" + strconv.Itoa(n)}})
						assert.NoError(b, err)
					}()
					<-told
					took = append(took, float64(time.Since(began).Microseconds()))
					<-joined
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "µs")
		})
		_, err := bus.Client.RemoveApp(b.Context(), kind)
		require.NoError(b, err)
	}
}

// fillJoins writes rooms and joins as the room service does, by turns over the rooms.
func fillJoins(b *testing.B, bus *harness.Bus, rooms, events int) {
	b.Helper()
	latest, expected, version := make([]room.Latest, rooms), make([]uint64, rooms), make([]uint64, rooms)
	seq := uint64(0)
	put := func(n int, e room.Event) {
		seq++
		version[n]++
		e.Room, e.Replica = "r"+strconv.Itoa(n), "s1"
		e.ID, e.Time, e.Version = fmt.Sprintf("e%d", seq), time.Now(), version[n]
		e.Previous, e.Expected = latest[n], expected[n]
		e.Data.Room = room.Room{
			ID: e.Room, SlugifiedName: e.Room, Type: room.Channel, Creator: owner,
			CreatedAt: e.Time, MemberCount: int(e.Version), Version: e.Version,
		}
		latest[n].Set(e.Type, seq)
		expected[n] = seq
		subject, headers, data, err := subjects.EncodePost(e, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		require.NoError(b, err)
		_, err = bus.JS.PublishMsgAsync(&nats.Msg{Subject: subject, Header: headers, Data: data}, jetstream.WithMsgID(e.ID),
			jetstream.WithExpectLastSequenceForSubject(e.Expected, subjects.PostsOf(e.Room)), jetstream.WithStallWait(time.Minute))
		require.NoError(b, err)
	}
	for n := range rooms {
		put(n, room.Event{Type: room.EventCreate, Data: room.Data{Members: []room.User{owner}}})
	}
	for n := range events {
		u := room.User{ID: "u" + strconv.Itoa(n/rooms), Username: "user" + strconv.Itoa(n), Name: "User of the bench"}
		put(n%rooms, room.Event{Type: room.EventUserJoin, Data: room.Data{JoiningUser: &u}})
	}
	select {
	case <-bus.JS.PublishAsyncComplete():
	case <-b.Context().Done():
	}
	stream, err := bus.JS.Stream(b.Context(), subjects.Events)
	require.NoError(b, err)
	require.Equal(b, seq, stream.CachedInfo().State.LastSeq)
}

var owner = room.User{ID: "owner"}

// drain returns how long the workers take for all stored events, and their processor time,
// including their start.
func drain(b *testing.B, bus *harness.Bus, app, kind string, workers int) (took, cpu time.Duration) {
	b.Helper()
	bus.Register(b, drainManifest(app, kind))
	gate, start, err := os.Pipe()
	require.NoError(b, err)
	program, err := os.Executable()
	require.NoError(b, err)
	var all []*harness.Process
	for range workers {
		cmd := exec.Command(program)
		cmd.Stdin = gate
		cmd.Env = harness.Env(b.TempDir(), "NATS_URL="+bus.Server.URL(), drainWorker+"="+kind, drainApp+"="+app)
		all = append(all, harness.StartCmd(b, cmd))
	}
	for _, p := range all {
		p.Stderr.Await(b, "msg=serving")
	}
	consumer, err := bus.JS.Consumer(b.Context(), subjects.Events, app)
	require.NoError(b, err)
	began := time.Now()
	require.NoError(b, start.Close())
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		<-tick.C
		info, err := consumer.Info(b.Context())
		require.NoError(b, err)
		if info.NumPending == 0 && info.NumAckPending == 0 {
			break
		}
	}
	took = time.Since(began)
	require.NoError(b, gate.Close())
	for _, p := range all {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range all {
		require.Zero(b, p.Wait())
		cpu += p.CPU()
	}
	return took, cpu
}

func drainManifest(app, kind string) room.Manifest {
	return room.Manifest{
		ID: app, Version: "1.0.0", Deliver: room.DeliverAll, Unordered: kind == "unordered",
		Implements: []room.Interface{room.PostRoomUserJoined},
	}
}

// drainMain is the program of such a worker. It begins when its input ends.
func drainMain(kind, app string) {
	gate := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(gate)
	}()
	if kind == "unordered" || kind == "ordered" {
		appworker.Main(drainManifest(app, kind), appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error {
			<-gate
			return nil
		}})
		return
	}
	if err := drainBare(interrupt.Context(), app, kind == "reading", gate); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// drainBare is a worker without roombus.
func drainBare(ctx context.Context, app string, reads bool, gate <-chan struct{}) error {
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.Consumer(ctx, subjects.Events, app)
	if err != nil {
		return err
	}
	reading, err := consumer.Consume(func(msg jetstream.Msg) {
		<-gate
		var e room.UserJoined
		if !reads || json.Unmarshal(msg.Data(), &e) == nil {
			_ = msg.Ack()
		}
	})
	if err != nil {
		return err
	}
	defer reading.Stop()
	fmt.Fprintln(os.Stderr, "msg=serving")
	<-ctx.Done()
	return nil
}
