package delivery_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// BenchmarkPostEvents measures the cost of order: events handled per second by workers with an
// empty handler, ordered and unordered, against a bare pull consumer that acknowledges every event,
// on the same stream.
func BenchmarkPostEvents(b *testing.B) {
	const events = 20_000
	for _, rooms := range []int{1, 1000} {
		bus := harness.New(b, roomsvc.Config{})
		var joiners sync.WaitGroup
		for n := range min(rooms, 32) {
			joiners.Go(func() {
				for r := n; r < rooms; r += min(rooms, 32) {
					id := "r" + strconv.Itoa(r)
					bus.Create(b, id)
					for u := range events / rooms {
						_, err := bus.Client.Join(b.Context(), room.JoinRequest{RoomID: id, User: room.User{ID: "u" + strconv.Itoa(u)}})
						require.NoError(b, err)
					}
				}
			})
		}
		joiners.Wait()
		run := 0
		for _, workers := range []int{1, 2, 4} {
			for _, how := range []string{"bare", "unordered", "ordered"} {
				b.Run(fmt.Sprintf("rooms=%d/workers=%d/%s", rooms, workers, how), func(b *testing.B) {
					for b.Loop() {
						b.StopTimer()
						run++
						m := room.Manifest{ID: "app" + strconv.Itoa(run), Version: "1.0.0", Deliver: room.DeliverAll, Unordered: how == "unordered", Implements: []room.Interface{room.PostRoomUserJoined}}
						var handled atomic.Int64
						all := make(chan struct{})
						count := func() {
							if handled.Add(1) == events {
								close(all)
							}
						}
						bus.Register(b, m)
						b.StartTimer()
						var stops []func()
						for range workers {
							if how == "bare" {
								stops = append(stops, bare(b, bus, m.ID, count))
								continue
							}
							stop := bus.Work(b, m, appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error {
								count()
								return nil
							}})
							stops = append(stops, func() { _ = stop() })
						}
						<-all
						b.StopTimer()
						for _, stop := range stops {
							stop()
						}
						b.StartTimer()
					}
					b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
				})
			}
		}
	}
}

// bare is a worker without roombus.
func bare(b *testing.B, bus *harness.Bus, app string, handled func()) (stop func()) {
	b.Helper()
	js, err := jetstream.New(harness.Connect(b, bus.Server))
	require.NoError(b, err)
	consumer, err := js.Consumer(b.Context(), "ROOM_EVENTS", app)
	require.NoError(b, err)
	reading, err := consumer.Consume(func(msg jetstream.Msg) {
		handled()
		_ = msg.Ack()
	})
	require.NoError(b, err)
	return reading.Stop
}
