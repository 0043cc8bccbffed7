package fault_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// BenchmarkPurge measures the server's cost of removing one room's history from a stream of 200,000
// rooms with three events each. The events are next to each other, or a third of the stream apart.
func BenchmarkPurge(b *testing.B) {
	const rooms = 200_000
	types := []room.EventType{room.EventCreate, room.EventUserJoin, room.EventDelete}
	for name, at := range map[string]func(n int) (roomNumber, event int){
		"short-lived": func(n int) (int, int) { return n / len(types), n % len(types) },
		"long-lived":  func(n int) (int, int) { return n % rooms, n / rooms },
	} {
		b.Run(name, func(b *testing.B) {
			js, err := jetstream.New(harness.Connect(b, harness.NewServer(b)), jetstream.WithPublishAsyncMaxPending(2000))
			require.NoError(b, err)
			stream, err := js.CreateStream(b.Context(), streams.Configs(1)[0])
			require.NoError(b, err)
			deleted := make([]uint64, rooms)
			for n := range rooms * len(types) {
				id, event := at(n)
				_, err := js.PublishAsync(subjects.Post(types[event], fmt.Sprint("room-", id)), make([]byte, 600), jetstream.WithStallWait(time.Minute))
				require.NoError(b, err)
				deleted[id] = uint64(n + 1)
			}
			<-js.PublishAsyncComplete()
			n := 0
			for b.Loop() {
				id := n % rooms
				n++
				require.NoError(b, stream.Purge(b.Context(), jetstream.WithPurgeSubject(subjects.PostsOf(fmt.Sprint("room-", id))), jetstream.WithPurgeSequence(deleted[id]+1)))
			}
		})
	}
}
