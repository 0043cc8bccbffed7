package registry_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/registry"
	"github.com/roombus/roombus/subjects"
)

// server is a NATS server with the streams of a registry.
type server struct {
	js              jetstream.JetStream
	events, replays jetstream.Stream
	log             *slog.Logger // of the registries
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{log: slog.New(slog.DiscardHandler)}
	var err error
	s.js, err = jetstream.New(harness.Connect(t, harness.NewServer(t)))
	require.NoError(t, err)
	s.events, err = s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.Events, Subjects: []string{subjects.AllEvents}})
	require.NoError(t, err)
	s.replays, err = s.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: subjects.Replays, Subjects: []string{subjects.AllReplays}, Retention: jetstream.WorkQueuePolicy,
	})
	require.NoError(t, err)
	require.NoError(t, s.ensureBucket(t.Context()))
	return s
}

func (s *server) ensureBucket(ctx context.Context) error {
	_, err := s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: subjects.AppsBucket, History: 5})
	return err
}

// alone is the replicas of a registry that waits for no other.
type alone struct{}

func (alone) AnnounceAlive(string)          {}
func (alone) Await(context.Context, uint64) {}

// maxBytes bounds registrations and documents.
const maxBytes = 2000

// open returns a running registry that is in sync.
func (s *server) open(t *testing.T) *registry.Registry {
	t.Helper()
	return s.openWith(t, func(*registry.Config) {})
}

// openWith is open with a configuration that the test changes.
func (s *server) openWith(t *testing.T, change func(*registry.Config)) *registry.Registry {
	t.Helper()
	cfg := registry.Config{
		JetStream: s.js, Events: s.events, Replays: s.replays, AckWait: time.Second / 2,
		MaxBytes: func() int { return maxBytes }, IsUnavailable: func() bool { return false },
		CheckLosses: func(context.Context) error { return nil }, EnsureBucket: s.ensureBucket,
		Replicas: alone{}, Changed: func([]*room.Registration, expression.Params) {}, Logger: s.log,
	}
	change(&cfg)
	r, err := registry.Open(t.Context(), cfg)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	require.NoError(t, r.AwaitSync(t.Context()))
	return r
}

func guard(version string) room.Manifest {
	return room.Manifest{ID: "guard", Version: version, Implements: []room.Interface{room.PreRoomUserJoined}}
}

// CatchUp waits for a change that another registry makes.
func TestCatchUp_WaitsForChangeOfAnother(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first, second := s.open(t), s.open(t)
	await := func(revision uint64) <-chan uint64 {
		synced := make(chan uint64, 1)
		go func() { synced <- second.CatchUp(t.Context(), revision) }()
		return synced
	}
	disabled := await(2)
	_, err := first.Register(t.Context(), guard("1.0.0"), "")
	require.NoError(t, err)
	_, err = first.Disable(t.Context(), room.AppRequest{ID: "guard"})
	require.NoError(t, err)
	require.EqualValues(t, 2, <-disabled)
	require.Len(t, second.List(), 1)
	assert.False(t, second.List()[0].IsEnabled())
	removed := await(3)
	_, err = first.Remove(t.Context(), room.AppRequest{ID: "guard"})
	require.NoError(t, err)
	require.EqualValues(t, 3, <-removed)
	assert.Empty(t, second.List())
}

// The registry tells a removed app from an app that never registered.
func TestManifest_RemovedAppWasRegistered(t *testing.T) {
	t.Parallel()
	r := newServer(t).open(t)
	never := func() bool {
		_, err := r.Manifest("guard")
		var notFound *room.Error
		require.ErrorAs(t, err, &notFound)
		require.Equal(t, room.CodeAppNotFound, notFound.Code)
		return notFound.NeverRegistered
	}
	assert.True(t, never())
	_, err := r.Register(t.Context(), guard("1.0.0"), "")
	require.NoError(t, err)
	_, err = r.Remove(t.Context(), room.AppRequest{ID: "guard"})
	require.NoError(t, err)
	assert.False(t, never())
}

// A registration from another account tells the account of the app. It is kept when the manifest changes, and
// when the app registers from an account that is not known.
func TestRegister_AccountOfApp(t *testing.T) {
	t.Parallel()
	r := newServer(t).open(t)
	for _, step := range []struct{ version, from, want string }{
		{"1.0.0", "", ""},
		{"1.0.0", bus.AnyAccount, bus.AnyAccount},
		{"1.0.0", "GUARD", "GUARD"},
		{"1.1.0", bus.AnyAccount, "GUARD"},
		{"1.0.0", "", "GUARD"},
		{"1.1.0", "NEW", "NEW"},
	} {
		_, err := r.Register(t.Context(), guard(step.version), step.from)
		require.NoError(t, err)
		app, _ := r.Get("guard")
		assert.Equal(t, step.want, app.Account, step)
	}
	_, err := r.RollBack(t.Context(), room.RollbackRequest{ID: "guard", Version: "1.0.0"})
	require.NoError(t, err)
	assert.True(t, r.IsAccountOfApp("NEW"))
	assert.False(t, r.IsAccountOfApp("GUARD"))
}

// The record has the last revision, the registered apps and the documents.
func TestRegistry_ChangesAreRecorded(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := s.open(t)
	for _, m := range []room.Manifest{guard("1.0.0"), guard("1.1.0")} {
		_, err := r.Register(t.Context(), m, "")
		require.NoError(t, err)
	}
	for _, name := range []string{"bans", "away", "gone"} {
		put(t, r, name, `[]`)
	}
	_, err := registry.NewParams(r).Remove(t.Context(), room.ParamRequest{Name: "gone"})
	require.NoError(t, err)
	info, err := s.events.Info(t.Context())
	require.NoError(t, err)
	record, ok := subjects.RegistryRecordOf(info.Config.Metadata)
	require.True(t, ok)
	assert.Equal(t, subjects.RegistryRecord{Revision: r.CatchUp(t.Context(), 0), Apps: []string{"guard"}, Params: []string{"away", "bans"}}, record)
}

// A registry that reads the bucket again, since it may have missed a change, finds that the bucket
// was removed, and writes the registrations and documents back.
func TestRegistry_RemovedBucketIsWrittenBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := s.open(t)
	_, err := r.Register(t.Context(), guard("1.0.0"), "")
	require.NoError(t, err)
	put(t, r, "bans", `["mallory"]`)
	require.NoError(t, s.js.DeleteKeyValue(t.Context(), subjects.AppsBucket))
	readAgain(t, r)
	require.Eventually(t, func() bool {
		bucket, err := s.js.KeyValue(t.Context(), subjects.AppsBucket)
		if err != nil {
			return false
		}
		keys, err := bucket.Keys(t.Context())
		return err == nil && len(keys) == 2
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, r.AwaitSync(t.Context()))
	assert.Len(t, r.List(), 1)
	p, err := registry.NewParams(r).Get(t.Context(), room.ParamRequest{Name: "bans"})
	require.NoError(t, err)
	assert.JSONEq(t, `["mallory"]`, string(p.Document))
}

// readAgain makes the registry read the bucket again, as after a missed change.
func readAgain(t *testing.T, r *registry.Registry) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.CatchUp(ended, 1<<40)
}
