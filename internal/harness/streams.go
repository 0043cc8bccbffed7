package harness

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/subjects"
)

// StreamState returns the state of the stream of events.
func (b *Bus) StreamState(t testing.TB) jetstream.StreamState {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	return stream.CachedInfo().State
}

// Messages returns the number of messages of a stream. No test may read a work queue, because that
// would remove messages.
func (b *Bus) Messages(t testing.TB, stream string) uint64 {
	t.Helper()
	s, err := b.JS.Stream(t.Context(), stream)
	require.NoError(t, err)
	return s.CachedInfo().State.Msgs
}

// CountStreams returns the number of streams of the account.
func CountStreams(t testing.TB, js jetstream.JetStream) int {
	t.Helper()
	names := js.StreamNames(t.Context())
	n := 0
	for range names.Name() {
		n++
	}
	require.NoError(t, names.Err())
	return n
}
