package state_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// snapshot returns the current object.
func snapshot(t *testing.T, b *harness.Bus) (file []byte, info *jetstream.ObjectInfo) {
	t.Helper()
	store, err := b.JS.ObjectStore(t.Context(), subjects.Snapshots)
	require.NoError(t, err)
	info, err = store.GetInfo(t.Context(), subjects.Snapshot)
	require.NoError(t, err)
	file, err = store.GetBytes(t.Context(), subjects.Snapshot)
	require.NoError(t, err)
	return file, info
}

// putSnapshot puts the file where services read their snapshot.
func putSnapshot(t *testing.T, b *harness.Bus, file []byte) {
	t.Helper()
	store, err := b.JS.CreateOrUpdateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: subjects.Snapshots, Compression: true})
	require.NoError(t, err)
	_, err = store.PutBytes(t.Context(), subjects.Snapshot, file)
	require.NoError(t, err)
}

// settledData returns the replica's data once it is not ahead of the stream.
func settledData(t *testing.T, b *harness.Bus) roomsvc.EndpointData {
	t.Helper()
	require.Eventually(t, func() bool { return b.EndpointData(t).ProjectionHash != "" }, harness.ReplyTime, harness.Tick)
	return b.EndpointData(t)
}

// A service starts from another's snapshot and continues as if it had read the whole stream.
// Commands that are sent again get the same answer.
func TestSnapshot_ServiceStartsFromIt(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Create(t, "gone")
	_, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "gone"})
	require.NoError(t, err)
	require.NoError(t, b.NC.Publish("room.post.explode.r", nil))
	join := room.JoinRequest{RoomID: "r", User: scene.Alice}
	joined, err := b.Client.Join(t.Context(), join, roomclient.WithID("the-join"))
	require.NoError(t, err)
	before := settledData(t, b)
	require.NoError(t, b.Service.Stop(t.Context()))

	log := b.ServeLogged(t, roomsvc.Config{})
	assert.Contains(t, log.String(), `msg="snapshot read" seq=5 rooms=2`)
	after := settledData(t, b)
	assert.Equal(t, before.ProjectionHash, after.ProjectionHash)
	assert.Equal(t, uint64(1), after.Quarantined)
	again, err := b.Client.Join(t.Context(), join, roomclient.WithID("the-join"))
	require.NoError(t, err)
	assert.Equal(t, joined, again)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))

	b.Create(t, "gone")
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	require.NoError(t, b.Service.Stop(t.Context()))
	_, info := snapshot(t, b)
	assert.Equal(t, "rooms and members as of sequence 7 of ROOM_EVENTS; may be deleted", info.Description)
	assert.Equal(t, "7", info.Metadata["seq"])
}

// Events after the snapshot are read from the stream.
func TestSnapshot_TailIsRead(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	require.NoError(t, b.Service.Stop(t.Context()))
	old, _ := snapshot(t, b)
	b.ServeLogged(t, roomsvc.Config{})
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	want := settledData(t, b)
	require.NoError(t, b.Service.Stop(t.Context()))
	putSnapshot(t, b, old)
	log := b.ServeLogged(t, roomsvc.Config{})
	assert.Contains(t, log.String(), `msg="snapshot read" seq=1 `)
	assert.Equal(t, want.ProjectionHash, settledData(t, b).ProjectionHash)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))
}

// A service that finds an unusable snapshot logs it, reads the whole stream, and writes a new
// snapshot.
func TestSnapshot_UnusableIsReplaced(t *testing.T) {
	t.Parallel()
	other := harness.New(t, roomsvc.Config{})
	other.Create(t, "elsewhere")
	require.NoError(t, other.Service.Stop(t.Context()))
	foreign, _ := snapshot(t, other)
	for name, c := range map[string]struct {
		spoil func(t *testing.T, b *harness.Bus)
		says  string
	}{
		"nonsense":          {func(t *testing.T, b *harness.Bus) { putSnapshot(t, b, []byte("nonsense")) }, "it is damaged"},
		"of another stream": {func(t *testing.T, b *harness.Bus) { putSnapshot(t, b, foreign) }, "it belongs to a stream created at"},
		"a flipped bit": {func(t *testing.T, b *harness.Bus) {
			file, _ := snapshot(t, b)
			file = slices.Clone(file)
			file[len(file)/2] ^= 1
			putSnapshot(t, b, file)
		}, "it is damaged"},
		"without its parts": {func(t *testing.T, b *harness.Bus) {
			_, info := snapshot(t, b)
			stream, err := b.JS.Stream(t.Context(), subjects.SnapshotsStream)
			require.NoError(t, err)
			require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject(subjects.SnapshotParts(info.NUID))))
		}, "it is damaged: it ends too early"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Create(t, "r")
			require.NoError(t, b.Service.Stop(t.Context()))
			c.spoil(t, b)
			log := b.ServeLogged(t, roomsvc.Config{})
			assert.Regexp(t, `level=WARN msg="snapshot unusable; reading the whole stream".*`+c.says, log.String())
			assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
			require.NoError(t, b.Service.Stop(t.Context()))
			assert.Contains(t, b.ServeLogged(t, roomsvc.Config{}).String(), "snapshot read")
		})
	}
}

// A missing snapshot, or a missing bucket, is not logged.
func TestSnapshot_MissingIsNotLogged(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	require.NoError(t, b.Service.Stop(t.Context()))
	store, err := b.JS.ObjectStore(t.Context(), subjects.Snapshots)
	require.NoError(t, err)
	require.NoError(t, store.Delete(t.Context(), subjects.Snapshot))
	log := b.ServeLogged(t, roomsvc.Config{})
	assert.Contains(t, log.String(), "no snapshot; reading the whole stream")
	require.NoError(t, b.Service.Stop(t.Context()))
	_, info := snapshot(t, b)
	assert.Equal(t, "1", info.Metadata["seq"], "a new snapshot is written")
	require.NoError(t, b.JS.DeleteObjectStore(t.Context(), subjects.Snapshots))
	log = b.ServeLogged(t, roomsvc.Config{})
	assert.Contains(t, log.String(), "no snapshot; reading the whole stream")
	assert.NotContains(t, log.String(), "level=WARN")
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
}

// If the server lost power, its stream may lack the last events of the snapshot, or have others in
// their place.
func TestSnapshot_AheadOfTheStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &harness.Restartable{Config: embedded.Config{StoreDir: filepath.Join(dir, "now"), Listen: harness.FreeAddress(t)}}
	s.Start(t)
	t.Cleanup(func() { s.Server.Shutdown() })
	b := harness.BusOn(t, s.Server)
	b.ServeLogged(t, roomsvc.Config{})
	b.Create(t, "kept")
	require.NoError(t, b.Service.Stop(t.Context()))
	s.Server.Shutdown()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "before"), os.DirFS(s.Config.StoreDir)))

	s.Start(t)
	b = harness.BusOn(t, s.Server)
	b.ServeLogged(t, roomsvc.Config{})
	b.Create(t, "lost")
	require.NoError(t, b.Service.Stop(t.Context()))
	file, _ := snapshot(t, b)
	s.Server.Shutdown()

	s.Config.StoreDir = filepath.Join(dir, "before")
	s.Start(t)
	b = harness.BusOn(t, s.Server)
	putSnapshot(t, b, file)
	log := b.ServeLogged(t, roomsvc.Config{})
	assert.Regexp(t, `snapshot unusable.*it goes to sequence 2, the stream ends at 1`, log.String())
	b.Create(t, "other")
	require.NoError(t, b.Service.Stop(t.Context()))
	putSnapshot(t, b, file)
	log = b.ServeLogged(t, roomsvc.Config{})
	assert.Regexp(t, `snapshot unusable.*message 2 of the stream is .* it was `, log.String())
	_, err := b.Client.Get(t.Context(), "lost")
	assert.Equal(t, room.CodeRoomNotFound, scene.ErrorOf(t, err).Code)
}

// A running service writes a snapshot after every so many events.
func TestSnapshot_WrittenEverySoManyEvents(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{SnapshotEvery: 3})
	for _, id := range []string{"a", "b", "c"} {
		b.Create(t, id)
	}
	require.Eventually(t, func() bool {
		store, err := b.JS.ObjectStore(t.Context(), subjects.Snapshots)
		if err != nil {
			return false
		}
		info, err := store.GetInfo(t.Context(), subjects.Snapshot)
		return err == nil && info.Metadata["seq"] == "3"
	}, 2*harness.ReplyTime, harness.Tick)
}

// Services share one snapshot: a service without new events does not write it.
func TestSnapshot_NotRewrittenWithoutNewEvents(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	second := harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	b.Create(t, "r")
	require.NoError(t, b.Service.Stop(t.Context()))
	_, first := snapshot(t, b)
	require.NoError(t, second.Stop(t.Context()))
	_, after := snapshot(t, b)
	assert.Equal(t, first.NUID, after.NUID)
	b.ServeLogged(t, roomsvc.Config{})
	require.NoError(t, b.Service.Stop(t.Context()))
	_, after = snapshot(t, b)
	assert.Equal(t, first.NUID, after.NUID, "nothing has changed")
}

// If the store refuses a snapshot, the service still serves, and still stops in time.
func TestSnapshot_CannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, b *harness.Bus){
		"full": func(t *testing.T, b *harness.Bus) {
			_, err := b.JS.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: subjects.Snapshots, MaxBytes: 100})
			require.NoError(t, err)
		},
		"something else": func(t *testing.T, b *harness.Bus) {
			_, err := b.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.SnapshotsStream, Subjects: []string{"else"}})
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := harness.NewServer(t)
			b := harness.BusOn(t, server)
			spoil(t, b)
			log := b.ServeLogged(t, roomsvc.Config{SnapshotEvery: -1, AckWait: 500 * time.Millisecond})
			b.Create(t, "r")
			require.NoError(t, b.Service.Stop(t.Context()))
			assert.Contains(t, log.String(), `level=WARN msg="cannot write a snapshot"`)
			b.ServeLogged(t, roomsvc.Config{SnapshotEvery: -1, AckWait: 500 * time.Millisecond})
			assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
		})
	}
}

// Replicas that have read equally far have the same hash, whichever of them made the events.
func TestProjection_ReplicasHaveTheSameHash(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	for n := range 20 {
		id := "r" + strconv.Itoa(n)
		b.Create(t, id)
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: id, User: scene.Alice})
		require.NoError(t, err)
		if n%3 == 0 {
			_, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: id})
			require.NoError(t, err)
		}
	}
	require.NoError(t, b.NC.Publish("room.post.explode.r1", nil))
	hashes := make(map[string]int)
	require.Eventually(t, func() bool {
		clear(hashes)
		replies, err := bus.Broadcast(t.Context(), b.NC, "$SRV.STATS.rooms", nil)
		require.NoError(t, err)
		for _, msg := range replies {
			var stats struct {
				Endpoints []struct{ Data roomsvc.EndpointData }
			}
			require.NoError(t, json.Unmarshal(msg.Data, &stats))
			if data := stats.Endpoints[0].Data; data.LastSeq == 48 {
				hashes[data.ProjectionHash]++
			}
		}
		return len(replies) == 2 && hashes[""] == 0 && len(hashes) > 0 && len(replies) == sum(hashes)
	}, harness.ReplyTime, harness.Tick, "%v", hashes)
	assert.Len(t, hashes, 1)
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
