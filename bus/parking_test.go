package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

func TestSetParked_ParksAndResumes(t *testing.T) {
	t.Parallel()
	js, err := jetstream.New(bus.Connection(t))
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	require.NoError(t, bus.SetParked(t.Context(), stream, "c", true), "a missing consumer needs no parking")
	_, err = stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "c"})
	require.NoError(t, err)
	for _, parked := range []bool{true, false} {
		require.NoError(t, bus.SetParked(t.Context(), stream, "c", parked))
		there, err := stream.Consumer(t.Context(), "c")
		require.NoError(t, err)
		assert.Equal(t, parked, bus.IsParked(there.CachedInfo().Config))
	}
}
