package projection

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/subjects"
)

// storeOn returns a store of snapshots on a new server.
func storeOn(t *testing.T) *Snapshots {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: subjects.Snapshots})
	require.NoError(t, err)
	return NewSnapshots(js)
}

func uploaded(t *testing.T, s *Snapshots, seq uint64, file []byte) *upload {
	t.Helper()
	u := s.newObject(t.Context(), snapshotHead{Format: snapshotFormat, Stream: streamMade, Seq: seq})
	_, err := u.Write(file)
	require.NoError(t, err)
	return u
}

// Any client of object stores can read a snapshot.
func TestSnapshotStore_SnapshotIsObject(t *testing.T) {
	t.Parallel()
	s := storeOn(t)
	file := bytes.Repeat([]byte("0123456789"), frameBytes/4) // more than two parts
	u := uploaded(t, s, 7, file)
	require.NoError(t, u.replace(stored{}))
	store, err := s.js.ObjectStore(t.Context(), subjects.Snapshots)
	require.NoError(t, err)
	data, err := store.GetBytes(t.Context(), subjects.Snapshot)
	require.NoError(t, err, "its hash is checked")
	assert.Equal(t, file, data)
	ours, err := io.ReadAll(s.read(t.Context(), u.info.NUID))
	require.NoError(t, err)
	assert.Equal(t, file, ours)
	there, err := s.current(t.Context())
	require.NoError(t, err)
	assert.Equal(t, uint64(7), s.covers(there, snapshotHead{Stream: streamMade}))
	assert.Zero(t, s.covers(there, snapshotHead{Stream: streamMade.Add(1)}), "of another stream")
	s.refused = there.NUID
	assert.Zero(t, s.covers(there, snapshotHead{Stream: streamMade}), "the object was unusable")
}

// Of two services that write concurrently, the second gets an error.
func TestSnapshotStore_ConcurrentWriterFails(t *testing.T) {
	t.Parallel()
	s := storeOn(t)
	one, other := uploaded(t, s, 1, []byte("one")), uploaded(t, s, 2, []byte("other"))
	require.NoError(t, one.replace(stored{}))
	var api *jetstream.APIError
	require.ErrorAs(t, other.replace(stored{}), &api)
	there, err := s.current(t.Context())
	require.NoError(t, err)
	assert.Equal(t, one.info.NUID, there.NUID)
	require.NoError(t, other.replace(there))
}

// The parts of a writer that died are removed once they are old enough.
func TestSnapshotStore_SweepsUnfinishedObjects(t *testing.T) {
	t.Parallel()
	s := storeOn(t)
	dead, current := uploaded(t, s, 1, []byte("dead")), uploaded(t, s, 2, []byte("current"))
	left := func() map[string]uint64 {
		stream, err := s.js.Stream(t.Context(), subjects.SnapshotsStream)
		require.NoError(t, err)
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subjects.SnapshotParts("*")))
		require.NoError(t, err)
		return info.State.Subjects
	}
	s.sweep(t.Context(), current.info.NUID, unfinishedFor)
	assert.Len(t, left(), 2)
	s.sweep(t.Context(), current.info.NUID, 0)
	assert.Equal(t, map[string]uint64{subjects.SnapshotParts(current.info.NUID): 1}, left())

	// A writer whose context has ended still removes its parts.
	over, cancel := context.WithCancel(t.Context())
	cancel()
	s.remove(over, dead.info.NUID)
	s.remove(over, current.info.NUID)
	assert.Empty(t, left())
}
