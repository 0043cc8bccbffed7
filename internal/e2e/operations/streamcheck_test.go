package operations_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// A stream that a guarantee depends on may have limits, but must be on disk.
func TestStreams_MemoryStorageIsRefused(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	memory := map[string]bool{subjects.DeadLetters: true, subjects.Replays: true, subjects.GivenUp: true}
	for _, cfg := range streams.Configs(1) {
		if memory[cfg.Name] {
			cfg.Storage = jetstream.MemoryStorage
		}
		if cfg.Name == subjects.Rejections {
			cfg.Storage, cfg.MaxMsgs = jetstream.MemoryStorage, 10 // no guarantee depends on it
		}
		_, err := b.JS.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
	}
	c := harness.NewCLI(t, b.Server.URL())
	status, _, stderr := c.Run("serve", "--nats", c.URL)
	assert.Equal(t, 1, status)
	line := complaint(t, stderr)
	status, list, _ := c.Run("streams", "--apply")
	assert.Equal(t, 1, status)
	for stream := range memory {
		assert.Contains(t, line, "stream "+stream+" is configured differently: storage is Memory, must be File", "one message names all")
		assert.Regexp(t, `(?m)^`+stream+` +1 +storage is Memory, must be File; its storage cannot be changed: .*restore it with file storage$`, list)
	}
	assert.NotContains(t, line, subjects.Rejections)
	assert.Contains(t, line, "restore it with file storage")
	assert.Regexp(t, `(?m)^ROOM_REJECTIONS +1 +storage is Memory, must be File; .*the service starts all the same$`, list)
	assert.Regexp(t, `(?m)^ROOM_EVENTS +1 +ok$`, list)
}

func TestStreams_ApplyCreatesAndChanges(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	c := harness.NewCLI(t, b.Server.URL())
	for _, cfg := range streams.Configs(1) {
		switch cfg.Name {
		case subjects.Events:
			cfg.MaxAge, cfg.DenyDelete = time.Hour, false
			cfg.Metadata = map[string]string{"theirs": "kept"}
		case subjects.GivenUp, subjects.SnapshotsStream:
			continue
		case subjects.DeadLetters:
			cfg.MaxAge = time.Hour // the operator's setting
		}
		_, err := b.JS.CreateStream(t.Context(), cfg)
		require.NoError(t, err)
	}
	status, list, stderr := c.Run("streams", "--check")
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "the streams are not as they must be")
	assert.Regexp(t, `(?m)^ROOM_EVENTS +1 +max_age is 1h0m0s, must be 0s; deny_delete is false, must be true$`, list)
	assert.Regexp(t, `(?m)^ROOM_GIVEN_UP +1 +missing$`, list)
	assert.Regexp(t, `(?m)^ROOM_DEAD_LETTERS +1 +ok$`, list)
	assert.Equal(t, len(streams.Configs(1))-2, harness.CountStreams(t, b.JS), "--check changes nothing")

	list = c.OK("streams", "--apply")
	assert.Regexp(t, `(?m)^ROOM_EVENTS +1 +changed$`, list)
	assert.Regexp(t, `(?m)^ROOM_GIVEN_UP +1 +created$`, list)
	events := configOf(t, b.JS, subjects.Events)
	assert.Zero(t, events.MaxAge)
	assert.Equal(t, "kept", events.Metadata["theirs"])
	assert.Equal(t, time.Hour, configOf(t, b.JS, subjects.DeadLetters).MaxAge)
	for _, check := range harness.JSONLines[streams.Comparison](t, c.OK("streams", "--check", "--json")) {
		assert.Equal(t, streams.Comparison{Stream: check.Stream, Copies: 1, Optional: check.Optional}, check)
	}
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{NoProvision: true})
}

// An empty stream in place of a lost one would hide the loss.
func TestStreams_ApplyDoesNotCreateLostStreams(t *testing.T) {
	t.Parallel()
	b := policed(t)
	deleteStream(subjects.Events)(t, b)
	c := harness.NewCLI(t, b.Server.URL())
	status, list, _ := c.Run("streams", "--apply")
	assert.Equal(t, 1, status)
	assert.Regexp(t, `(?m)^ROOM_EVENTS +1 +the stream ROOM_EVENTS is gone, but there is a registry of apps .*restore it from a backup`, list)
	_, err := b.JS.Stream(t.Context(), subjects.Events)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

// A service that was started once without --stream-replicas leaves every stream with one copy. One message
// names them all, one command repairs them all.
func TestStreams_OneCopyOnCluster(t *testing.T) {
	t.Parallel()
	cluster := harness.NewCluster(t, "../../../deploy/nats/node.conf")
	p := harness.Start(t, harness.Binary(t), "serve", "--nats", cluster.URL())
	p.Stderr.Await(t, `level=WARN msg="streams have one copy on a NATS cluster.*roombus streams --apply --stream-replicas 3`)
	p.Stderr.Await(t, `msg=serving`)
	c := harness.NewCLI(t, cluster.URL())
	status, _, stderr := c.Run("serve", "--nats", c.URL, "--stream-replicas", "3")
	assert.Equal(t, 1, status)
	line := complaint(t, stderr)
	for _, stream := range []string{"ROOM_EVENTS", "KV_ROOM_APPS", "ROOM_DEAD_LETTERS", "ROOM_REPLAYS", "ROOM_GIVEN_UP"} {
		assert.Contains(t, line, "stream "+stream+" is configured differently: num_replicas is 1, must be 3")
	}
	assert.Contains(t, line, "roombus streams --apply --stream-replicas 3")

	c.OK("streams", "--apply", "--stream-replicas", "3")
	js, err := jetstream.New(cluster.Connect(t, 0))
	require.NoError(t, err)
	for _, cfg := range streams.Configs(3) {
		assert.Equal(t, 3, configOf(t, js, cfg.Name).Replicas, cfg.Name)
	}
	c.OK("streams", "--check")
	status, list, _ := c.Run("streams", "--apply", "--stream-replicas", "1")
	assert.Equal(t, 1, status)
	assert.Contains(t, list, "num_replicas is 3, must be 1")
	assert.Equal(t, 3, configOf(t, js, subjects.AppsStream).Replicas, "copies are not taken away")
	assert.NotContains(t, harness.ServeOn(t, cluster).Stderr.String(), "one copy")
}
