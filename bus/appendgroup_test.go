package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
)

// crowd is an AppendGroup whose next batch waits until the test has queued its appends.
type crowd struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	group  *bus.AppendGroup
}

const held, crowded = "held", 40

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), SyncAlways: true})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(10*time.Second))
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "A", Subjects: []string{"a.>"}, MaxMsgSize: 2000, AllowAtomicPublish: true,
	})
	require.NoError(t, err)
	return &crowd{js: js, stream: stream, group: bus.NewAppendGroup(js, newRequester(t, nc))}
}

// testAppend is an append and its result.
type testAppend struct {
	subject, id string
	guard       bus.Guard
	size        int
	seq         uint64
	err         error
}

func newTestAppend(n int) *testAppend {
	return &testAppend{subject: fmt.Sprintf("a.x.%d", n), id: fmt.Sprint("id", n), guard: bus.Guard{Filter: fmt.Sprintf("a.*.%d", n)}}
}

func distinctAppends() (all []*testAppend) {
	for n := range crowded {
		all = append(all, newTestAppend(n))
	}
	return all
}

// append appends all in one batch: it acknowledges the append before them only when all are queued.
func (c *crowd) append(t *testing.T, all []*testAppend) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	asked := make(chan *nats.Msg, 1)
	sub, err := c.js.Conn().ChanSubscribe(held, asked)
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Unsubscribe()) }()
	var busy sync.WaitGroup
	busy.Go(func() {
		_, err := c.group.Append(ctx, &nats.Msg{Subject: held}, held, bus.Guard{Filter: held})
		assert.NoError(t, err)
	})
	first := <-asked
	for n, o := range all {
		busy.Go(func() {
			msg := &nats.Msg{Subject: o.subject, Data: make([]byte, o.size)}
			o.seq, o.err = c.group.Append(ctx, msg, o.id, o.guard)
		})
		require.Eventually(t, func() bool { return c.group.Queued() == n+1 }, 10*time.Second, time.Millisecond)
	}
	require.NoError(t, first.Respond([]byte(`{"stream":"A","seq":1}`)))
	busy.Wait()
}

// stored checks that each message is stored unchanged at the sequence of its ack.
func (c *crowd) stored(t *testing.T, all []*testAppend) (headers []nats.Header) {
	t.Helper()
	for _, o := range all {
		require.NoError(t, o.err, o.id)
		msg, err := c.stream.GetMsg(t.Context(), o.seq)
		require.NoError(t, err)
		require.Equal(t, o.subject, msg.Subject)
		require.Equal(t, o.id, msg.Header.Get(jetstream.MsgIDHeader))
		require.Equal(t, strconv.FormatUint(o.guard.Seq, 10), msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader))
		require.Equal(t, o.guard.Filter, msg.Header.Get(jetstream.ExpectedLastSubjSeqSubjHeader))
		headers = append(headers, msg.Header)
	}
	return headers
}

func (c *crowd) has(t *testing.T, n int) {
	t.Helper()
	info, err := c.stream.Info(t.Context())
	require.NoError(t, err)
	assert.Equal(t, uint64(n), info.State.Msgs)
}

const batchID = "Nats-Batch-Id"

func TestAppendGroup_QueuedAppendsAreOneBatch(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	all := distinctAppends()
	c.append(t, all)
	for _, h := range c.stored(t, all) {
		require.NotEmpty(t, h.Get(batchID))
	}
	c.has(t, crowded)
}

// A refused message does not prevent the others from being stored.
func TestAppendGroup_RefusedMessageDoesNotAffectOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(o *testAppend)
		want  error
	}{
		{"the guard does not hold", func(o *testAppend) { o.guard.Seq = 7 }, bus.ErrConflict},
		{"stored before", func(o *testAppend) { o.id, o.guard.Seq = "before", 1 }, bus.ErrStored},
		{"too large", func(o *testAppend) { o.size = 3000 }, bus.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			crowd := newCrowd(t)
			all := distinctAppends()
			spoiled := all[crowded/2]
			if errors.Is(c.want, bus.ErrStored) {
				_, err := newRequester(t, crowd.js.Conn()).Append(t.Context(), &nats.Msg{Subject: spoiled.subject}, "before", spoiled.guard)
				require.NoError(t, err)
			}
			c.spoil(spoiled)
			crowd.append(t, all)
			require.ErrorIs(t, spoiled.err, c.want)
			crowd.stored(t, append(all[:crowded/2:crowded/2], all[crowded/2+1:]...))
		})
	}
}

// Of two concurrent appends with the same filter and guard only one succeeds.
func TestAppendGroup_SameFilterConflicts(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	all := distinctAppends()
	rival := newTestAppend(3)
	rival.subject, rival.id = "a.y.3", "rival"
	c.append(t, append(all, rival))
	c.stored(t, all)
	require.ErrorIs(t, rival.err, bus.ErrConflict)
	c.has(t, crowded)
}

// If the batch gets no ack, every append is uncertain and no message is sent again.
func TestAppendGroup_UnansweredBatchIsUncertain(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	nc := c.js.Conn()
	sub, err := nc.SubscribeSync("silent.>")
	require.NoError(t, err)
	impatient, err := jetstream.New(nc, jetstream.WithDefaultTimeout(100*time.Millisecond))
	require.NoError(t, err)
	c.group = bus.NewAppendGroup(impatient, newRequester(t, nc))
	all := distinctAppends()
	for _, o := range all {
		o.subject = "silent." + o.id
	}
	c.append(t, all)
	for _, o := range all {
		require.ErrorIs(t, o.err, bus.ErrUncertain)
	}
	require.NoError(t, nc.Flush())
	sent, _, err := sub.Pending()
	require.NoError(t, err)
	assert.Equal(t, crowded, sent)
}

// A stream without atomic batches stores the messages one by one.
func TestAppendGroup_StreamWithoutBatchesGetsSingleMessages(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	cfg := c.stream.CachedInfo().Config
	cfg.AllowAtomicPublish = false
	_, err := c.js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	all := distinctAppends()
	c.append(t, all)
	for _, h := range c.stored(t, all) {
		require.Empty(t, h.Get(batchID), "a single message has no batch headers")
	}
}
