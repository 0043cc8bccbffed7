package e2e_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// restarted stops the bus's service, lets something happen, and starts another: it returns its
// log up to where it serves.
func restarted(t *testing.T, b *harness.Bus, between func()) string {
	t.Helper()
	require.NoError(t, b.Service.Stop(t.Context()))
	between()
	log := &bytes.Buffer{}
	nc := harness.Connect(t, b.Server)
	b.Service = harness.Serve(t, nc, roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil)), SnapshotEvery: -1})
	return log.String()
}

// A service that starts begins with what another has left, and goes on as if it had read it all.
func TestStartingFromASnapshot(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Create(t, "gone")
	_, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "gone"})
	require.NoError(t, err)
	require.NoError(t, b.NC.Publish("room.post.explode.r", nil))
	joined, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: alice})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return endpointData(t, b).ProjectionHash != "" }, replyTime, tick)
	before := endpointData(t, b)

	log := restarted(t, b, func() {})
	assert.Contains(t, log, `msg="read the snapshot" seq=5 rooms=2`)
	after := endpointData(t, b)
	assert.Equal(t, before.ProjectionHash, after.ProjectionHash)
	assert.Equal(t, before.Quarantined, after.Quarantined)
	assert.Equal(t, []string{"alice", "owner"}, b.Members(t, "r"))

	b.Create(t, "gone")
	_, err = b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: "r", User: alice})
	require.NoError(t, err)
	_ = joined
}

// Whatever is wrong with a snapshot, the whole stream is read instead.
func TestASnapshotThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	log := restarted(t, b, func() {
		store, err := b.JS.ObjectStore(t.Context(), subjects.Snapshots)
		require.NoError(t, err)
		_, err = store.Put(t.Context(), jetstream.ObjectMeta{Name: subjects.Snapshot}, bytes.NewReader([]byte("nonsense")))
		require.NoError(t, err)
	})
	assert.Regexp(t, `level=WARN msg="the snapshot cannot be used; the whole stream is read instead"`, log)
}
