package operations_test

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// BenchmarkSync measures the cost of syncing each commit to disk: joins per second of 256 users at
// once, each in a separate room, with single and grouped commits, and bare guarded publishes. All
// take turns of a second in each iteration, because the speed of a disk varies. It reports the
// medians.
func BenchmarkSync(b *testing.B) {
	const users, turn = 256, time.Second
	type contender struct {
		name  string
		do    func(user int)
		rates []float64
	}
	all := []*contender{
		{name: "bare-interval", do: publishesOn(b, serverThatSyncs(b, false))},
		{name: "bare-always", do: publishesOn(b, serverThatSyncs(b, true))},
		{name: "joins-interval", do: joinsOn(b, serverThatSyncs(b, false), false, users)},
		{name: "joins-always", do: joinsOn(b, serverThatSyncs(b, true), false, users)},
		{name: "joins-always-grouped", do: joinsOn(b, serverThatSyncs(b, true), true, users)},
	}
	for b.Loop() {
		for _, c := range all {
			var done atomic.Int64
			var busy sync.WaitGroup
			began := time.Now()
			for u := range users {
				busy.Go(func() {
					for time.Since(began) < turn {
						c.do(u)
						done.Add(1)
					}
				})
			}
			busy.Wait()
			c.rates = append(c.rates, float64(done.Load())/time.Since(began).Seconds())
		}
	}
	for _, c := range all {
		b.ReportMetric(slices.Sorted(slices.Values(c.rates))[len(c.rates)/2], c.name+"/s")
	}
}

func serverThatSyncs(b *testing.B, always bool) *embedded.Server {
	b.Helper()
	server, err := embedded.Start(b.Context(), embedded.Config{StoreDir: b.TempDir(), Listen: "127.0.0.1:0", SyncAlways: always})
	require.NoError(b, err)
	b.Cleanup(server.Shutdown)
	return server
}

func joinsOn(b *testing.B, server *embedded.Server, grouped bool, users int) func(user int) {
	b.Helper()
	inside, err := server.Connect()
	require.NoError(b, err)
	b.Cleanup(inside.Close)
	harness.Serve(b, inside, roomsvc.Config{GroupCommits: grouped})
	client := roomclient.New(harness.Connect(b, server), roomclient.Config{})
	for u := range users {
		_, err := client.Create(b.Context(), harness.NewRoom(strconv.Itoa(u)))
		require.NoError(b, err)
	}
	var n atomic.Int64
	return func(user int) {
		joiner := room.User{ID: strconv.FormatInt(n.Add(1), 10)}
		_, err := client.Join(b.Context(), room.JoinRequest{RoomID: strconv.Itoa(user), User: joiner})
		require.NoError(b, err)
	}
}

func publishesOn(b *testing.B, server *embedded.Server) func(user int) {
	b.Helper()
	nc := harness.Connect(b, server)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	require.NoError(b, err)
	for _, c := range streams.Configs(1) {
		if c.Name == subjects.Events {
			_, err = js.CreateStream(b.Context(), c)
			require.NoError(b, err)
		}
	}
	var last sync.Map
	var n atomic.Int64
	return func(user int) {
		at, _ := last.LoadOrStore(user, uint64(0))
		msg := &nats.Msg{Subject: "room.post.userjoin." + strconv.Itoa(user), Data: make([]byte, 300)}
		ack, err := js.PublishMsg(b.Context(), msg, jetstream.WithMsgID(strconv.FormatInt(n.Add(1), 10)),
			jetstream.WithExpectLastSequenceForSubject(at.(uint64), subjects.PostsOf(strconv.Itoa(user))))
		require.NoError(b, err)
		last.Store(user, ack.Sequence)
	}
}
