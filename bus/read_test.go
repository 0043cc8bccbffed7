package bus_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
)

// filled returns a stream with messages on subjects s.0, s.1 and so on.
func filled(t *testing.T, messages int) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	require.NoError(t, err)
	for n := range messages {
		publish(t, js, "s."+strconv.Itoa(n))
	}
	return js, stream
}

// fetchedAhead is the number of messages that the client library fetches at once.
const fetchedAhead = jetstream.DefaultMaxMessages

// Timeout and interval for conditions that hold within milliseconds.
const (
	waiting = 10 * time.Second
	tick    = 5 * time.Millisecond
)

func publish(t *testing.T, js jetstream.JetStream, subject string) {
	t.Helper()
	_, err := js.Publish(t.Context(), subject, []byte("body"))
	assert.NoError(t, err)
}

// subjectsOf reads the stream to its end.
func subjectsOf(t *testing.T, js jetstream.JetStream, cfg jetstream.OrderedConsumerConfig) []string {
	t.Helper()
	var all []string
	for msg, err := range bus.Read(t.Context(), js, "S", cfg, false) {
		require.NoError(t, err)
		all = append(all, msg.Subject)
	}
	return all
}

func TestRead_EndsAtStreamEnd(t *testing.T) {
	t.Parallel()
	js, _ := filled(t, 0)
	var whole jetstream.OrderedConsumerConfig
	assert.Empty(t, subjectsOf(t, js, whole))
	for n := range 5 {
		publish(t, js, "s."+strconv.Itoa(n))
	}
	assert.Equal(t, []string{"s.0", "s.1", "s.2", "s.3", "s.4"}, subjectsOf(t, js, whole))
	assert.Equal(t, []string{"s.2"}, subjectsOf(t, js, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"s.2"}}))
	assert.Empty(t, subjectsOf(t, js, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"s.9"}}))
	future := time.Now().Add(time.Hour)
	assert.Empty(t, subjectsOf(t, js, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &future}))
}

// The consumers of a stream are limited, so a reader must not leave one behind.
func TestRead_DeletesItsConsumer(t *testing.T) {
	t.Parallel()
	js, stream := filled(t, 0)
	for n := range 2 {
		assert.Len(t, subjectsOf(t, js, jetstream.OrderedConsumerConfig{}), n)
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		assert.Zero(t, info.State.Consumers)
		publish(t, js, "s.0")
	}
}

func TestRead_YieldsStoredMessages(t *testing.T) {
	t.Parallel()
	js, stream := filled(t, 2)
	for msg, err := range bus.Read(t.Context(), js, "S", jetstream.OrderedConsumerConfig{}, false) {
		require.NoError(t, err)
		stored, err := stream.GetMsg(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, stored.Subject, msg.Subject)
		assert.Equal(t, stored.Sequence, msg.Sequence)
		assert.Equal(t, stored.Data, msg.Data)
		assert.WithinDuration(t, stored.Time, msg.Time, 0)
		break // the caller may stop early
	}
}

// handedOut returns when the stream has a reader and has delivered messages up to seq to it.
func handedOut(t *testing.T, stream jetstream.Stream, seq uint64) {
	t.Helper()
	assert.Eventually(t, func() bool {
		for c := range stream.ListConsumers(t.Context()).Info() {
			return c.Delivered.Stream == seq
		}
		return false
	}, waiting, tick)
}

// A pending message that is purged before its delivery does not block the reader.
func TestRead_PurgedPendingMessageIsSkipped(t *testing.T) {
	t.Parallel()
	js, stream := filled(t, fetchedAhead)
	for range 100 {
		publish(t, js, "s.late")
	}
	last := uint64(0)
	for msg, err := range bus.Read(t.Context(), js, "S", jetstream.OrderedConsumerConfig{}, false) {
		require.NoError(t, err)
		if last == 0 {
			handedOut(t, stream, fetchedAhead)
			require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject("s.late")))
		}
		require.Equal(t, last+1, msg.Sequence)
		last = msg.Sequence
	}
	assert.Equal(t, uint64(fetchedAhead), last)
}

func TestRead_FollowsUntilContextEnds(t *testing.T) {
	t.Parallel()
	js, stream := filled(t, 0)
	go func() {
		handedOut(t, stream, 0)
		publish(t, js, "s.first")
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 1
	var ended error
	for msg, err := range bus.Read(ctx, js, "S", jetstream.OrderedConsumerConfig{}, true) {
		if err != nil {
			ended = err
			continue
		}
		assert.Equal(t, uint64(n), msg.Sequence)
		if n == 5 {
			cancel()
			continue
		}
		publish(t, js, "s.next")
		n++
	}
	require.ErrorIs(t, ended, context.Canceled)
	for _, err := range bus.Read(t.Context(), js, "NONE", jetstream.OrderedConsumerConfig{}, true) {
		require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	}
}
