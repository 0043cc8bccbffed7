package bus_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

// creating is a JetStream whose CreateStream returns these errors, one after the other.
type creating struct {
	jetstream.JetStream
	errs  []error
	calls int
}

func (c *creating) CreateStream(context.Context, jetstream.StreamConfig) (jetstream.Stream, error) {
	c.calls++
	return nil, c.errs[c.calls-1]
}

func TestCreateStream_WaitsForNodesThatHaveJustStarted(t *testing.T) {
	t.Parallel()
	noPeers := &jetstream.APIError{ErrorCode: bus.CodeNoPeers, Description: "no suitable peers for placement, peer offline"}
	js := &creating{errs: []error{noPeers, nil}}
	require.NoError(t, bus.CreateStream(t.Context(), js, jetstream.StreamConfig{Name: "S"}))

	js = &creating{errs: []error{noPeers, jetstream.ErrStreamNameAlreadyInUse}}
	require.ErrorIs(t, bus.CreateStream(t.Context(), js, jetstream.StreamConfig{Name: "S"}), jetstream.ErrStreamNameAlreadyInUse)
	assert.Equal(t, 2, js.calls, "another error is final")

	js = &creating{errs: []error{&jetstream.APIError{ErrorCode: 10074}}}
	require.ErrorIs(t, bus.CreateStream(t.Context(), js, jetstream.StreamConfig{Name: "S"}), bus.ErrNoCluster)
}
