package streams_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// snapshots has one snapshot, which goes up to the sequence end, or none.
type snapshots struct{ end uint64 }

func (s *snapshots) End(context.Context) (uint64, error) { return s.end, nil }

func (s *snapshots) Discard(context.Context) error {
	s.end = 0
	return nil
}

// newConfig returns a configuration for a new server.
func newConfig(t *testing.T) streams.Config {
	t.Helper()
	nc := harness.Connect(t, harness.NewServer(t))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return streams.Config{
		Conn: nc, JetStream: js, Snapshots: &snapshots{}, Copies: 1, AckWait: time.Second, Logger: slog.New(slog.DiscardHandler),
	}
}

func useNothing(context.Context) error { return nil }

// Provision creates every stream, and the checks find no difference.
func TestProvision_CreatesTheStreams(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	cfg.Batches = true
	s := streams.New(cfg)
	require.NoError(t, s.Provision(t.Context(), useNothing))
	assert.Equal(t, subjects.Events, s.Events().CachedInfo().Config.Name)
	assert.Equal(t, subjects.Replays, s.Replays().CachedInfo().Config.Name)
	assert.True(t, s.BatchesAllowed())
	all, err := s.Compare(t.Context())
	require.NoError(t, err)
	assert.Len(t, all, len(streams.Configs(1)))
	for _, c := range all {
		assert.Equal(t, streams.Comparison{Stream: c.Stream, Copies: 1, Optional: c.Optional}, c)
	}
	s.Check(t.Context())
	assert.Zero(t, s.Misconfigured())
	require.NoError(t, streams.New(cfg).Provision(t.Context(), useNothing), "another service finds the streams")
}

// What opens on the streams is tried again while JetStream may become ready, and only then.
func TestProvision_UseIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := streams.New(newConfig(t))
	broken := errors.New("broken")
	fails := []error{context.DeadlineExceeded, broken}
	tries := 0
	err := s.Provision(t.Context(), func(context.Context) error {
		require.NotNil(t, s.Events(), "the streams are open")
		tries++
		return fails[tries-1]
	})
	require.ErrorIs(t, err, broken)
	assert.Equal(t, 2, tries)
}

// With NewEvents the service begins with no events. The snapshot of the lost events goes, so that the
// next start does not find it.
func TestCheckLosses_NewEventsDiscardsSnapshot(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	cfg.Snapshots = &snapshots{end: 3}
	all, err := streams.New(cfg).Apply(t.Context())
	require.NoError(t, err)
	assert.Contains(t, all[0].Lost, "the stream ROOM_EVENTS is gone, but there is a snapshot as of sequence 3: restore it")
	assert.False(t, all[0].Created)
	assert.False(t, all[0].OK())
	assert.True(t, all[1].Created, "%s is not lost", all[1].Stream)

	cfg.NewEvents = true
	require.NoError(t, streams.New(cfg).CheckLosses(t.Context()))
	end, err := cfg.Snapshots.End(t.Context())
	require.NoError(t, err)
	assert.Zero(t, end)
}

// The registry is also lost if it had documents only.
func TestCompare_RegistryThatLostDocuments(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	s := streams.New(cfg)
	require.NoError(t, s.Provision(t.Context(), useNothing))
	lost := func(r subjects.RegistryRecord) string {
		events := s.Events().CachedInfo().Config
		events.Metadata = r.In(events.Metadata)
		_, err := cfg.JetStream.UpdateStream(t.Context(), events)
		require.NoError(t, err)
		all, err := s.Compare(t.Context())
		require.NoError(t, err)
		assert.Equal(t, subjects.AppsStream, all[1].Stream)
		return all[1].Lost
	}
	assert.Empty(t, lost(subjects.RegistryRecord{Revision: 3}))
	assert.Contains(t, lost(subjects.RegistryRecord{Revision: 3, Params: []string{"bans", "hours"}}), "revision 3 is known, with the documents bans, hours: ")
	assert.Contains(t, lost(subjects.RegistryRecord{Revision: 3, Apps: []string{"gate"}, Params: []string{"bans"}}), "with the apps gate and the documents bans: ")
}

// A server that does not answer does not mend a stream.
func TestCheck_FindingsStayWithoutAnswer(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	s := streams.New(cfg)
	require.NoError(t, s.Provision(t.Context(), useNothing))
	require.NoError(t, cfg.JetStream.DeleteStream(t.Context(), subjects.DeadLetters))
	s.Check(t.Context())
	require.EqualValues(t, 1, s.Misconfigured())
	cfg.Conn.Close()
	s.Check(t.Context())
	assert.EqualValues(t, 1, s.Misconfigured())
}

// Ensure creates a stream that was removed, unless an operator creates the streams.
func TestEnsure_RemovedStreamIsCreated(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	s := streams.New(cfg)
	require.NoError(t, s.Provision(t.Context(), useNothing))
	require.NoError(t, cfg.JetStream.DeleteStream(t.Context(), subjects.SnapshotsStream))
	readOnly := cfg
	readOnly.NoProvision = true
	require.Error(t, streams.New(readOnly).Ensure(t.Context(), subjects.SnapshotsStream))
	require.NoError(t, s.Ensure(t.Context(), subjects.SnapshotsStream))
	_, err := cfg.JetStream.Stream(t.Context(), subjects.SnapshotsStream)
	require.NoError(t, err)
}
