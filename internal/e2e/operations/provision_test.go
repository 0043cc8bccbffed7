package operations_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// Streams made by the nats CLI from the output of "roombus streams" are the same as those that a
// service makes.
func TestProvision_StreamsFromCLI(t *testing.T) {
	t.Parallel()
	own := harness.New(t, roomsvc.Config{})
	b := harness.BusOn(t, harness.NewServer(t))
	c := harness.NewCLI(t, b.Server.URL())
	nats := harness.Tool(t, harness.NATSCLI)
	for _, cfg := range streams.Configs(1) {
		file := filepath.Join(t.TempDir(), "config.json")
		require.NoError(t, os.WriteFile(file, []byte(c.OK("streams", cfg.Name)), 0o600))
		status, _, stderr := harness.RunProgram(t, nats, "--server", c.URL, "stream", "add", "--config", file)
		require.Zero(t, status, stderr)
		assert.Equal(t, configOf(t, own.JS, cfg.Name), configOf(t, b.JS, cfg.Name))
	}
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{NoProvision: true})
	b.Register(t, room.Manifest{ID: "app", Implements: []room.Interface{room.PostRoomCreate}})
	b.Create(t, "r")
	_, err := b.JS.Consumer(t.Context(), subjects.Events, "app")
	require.NoError(t, err, "the service still creates the apps' consumers")
}

func configOf(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	return s.CachedInfo().Config
}

// The bucket has the configuration that the client library would give it.
func TestProvision_BucketHasTheLibrarysConfiguration(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	_, err := b.JS.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{
		Bucket: subjects.AppsBucket, Description: "the manifests of the registered apps, by id", History: 5, Storage: jetstream.FileStorage,
	})
	require.NoError(t, err)
	assert.Equal(t, configOf(t, harness.New(t, roomsvc.Config{}).JS, subjects.AppsStream), configOf(t, b.JS, subjects.AppsStream))
}

func TestProvision_NoProvisionCreatesNothing(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	said := harness.WontServe(t, "--no-provision", "--nats", b.Server.URL())
	for _, part := range []string{"stream ROOM_EVENTS does not exist; stream KV_ROOM_APPS does not exist; ", "roombus streams ROOM_EVENTS"} {
		assert.Contains(t, said, part)
	}
	assert.NotContains(t, said, "ROOM_REJECTIONS", "it may be absent")
	assert.Zero(t, harness.CountStreams(t, b.JS))
}

func TestProvision_NoProvisionRefusesDifferingStream(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	for _, cfg := range streams.Configs(1) {
		if cfg.Name == subjects.Events {
			cfg.DenyDelete = false
		}
		_, err := b.JS.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
	}
	_, err := roomsvc.Start(t.Context(), harness.Connect(t, b.Server), roomsvc.Config{NoProvision: true})
	var differs *bus.StreamDiffersError
	require.ErrorAs(t, err, &differs)
	assert.Equal(t, []string{"deny_delete is false, must be true"}, differs.Differences)
}

// The service works without the stream of rejections.
func TestProvision_RejectionsMayBeMissing(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	c := harness.NewCLI(t, b.Server.URL())
	made := 0
	for _, cfg := range streams.Configs(1) {
		if cfg.Name == subjects.Rejections {
			continue
		}
		_, err := b.JS.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
		made++
	}
	p := harness.Start(t, harness.Binary(t), "serve", "--no-provision", "--nats", c.URL)
	p.Stderr.Await(t, `level=WARN msg="optional stream missing.*stream=ROOM_REJECTIONS lost=rejections error="stream ROOM_REJECTIONS does not exist"`)
	p.Stderr.Await(t, `msg=serving`)
	b.Create(t, "r")
	assert.Equal(t, made, harness.CountStreams(t, b.JS))
}

func TestCLIStreams(t *testing.T) {
	t.Parallel()
	c := harness.NewCLI(t, "")
	all := harness.JSONLines[jetstream.StreamConfig](t, c.OK("streams", "--stream-replicas", "3"))
	require.Len(t, all, len(streams.Configs(3)))
	assert.Equal(t, streams.Configs(3), all)
	assert.Equal(t, 3, all[0].Replicas)
	var one jetstream.StreamConfig
	require.NoError(t, json.Unmarshal([]byte(c.OK("streams", subjects.AppsStream)), &one))
	assert.Equal(t, subjects.AppsStream, one.Name)
	assert.Contains(t, c.Fails(2, "streams", "NOPE"), `no stream "NOPE"`)
	assert.Contains(t, c.Fails(2, "streams", "--stream-replicas", "2"), "1, 3 or 5")
	assert.Contains(t, c.OK("streams", "--help"), "nats stream add --config")
}

// A service with --no-provision does not change a stream to allow group commit.
func TestProvision_NoProvisionWithGroupCommitChangesNoStream(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	require.NoError(t, b.Service.Stop(t.Context()))
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{NoProvision: true, GroupCommits: true})
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	assert.False(t, stream.CachedInfo().Config.AllowAtomicPublish)
	for _, err := range createAtOnce(t, b.Client, "r", 100) {
		require.NoError(t, err)
	}
}
