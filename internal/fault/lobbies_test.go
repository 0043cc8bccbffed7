package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// A site with rooms that live as long as a game: many are created and deleted, few live at a time.
// Deleted rooms leave almost nothing, on disk or in memory.
func TestLobbies(t *testing.T) {
	t.Parallel()
	total, long := 5_000, soak(t, 0) > 0
	if long {
		total = 200_000
	}
	dir := t.TempDir()
	service, url := harness.ServeProcess(t, "--store-dir", dir, "--retain-deleted", "0s")
	nc := harness.ConnectTo(t, url)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	b := &harness.Bus{NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})}
	b.Create(t, "stays")
	before := measure(t, js, service, dir)

	const atOnce = 32
	began := time.Now()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(atOnce)
	for n := range total {
		g.Go(func() error { return lobby(ctx, b.Client, "lobby-"+strconv.Itoa(n)) })
	}
	require.NoError(t, g.Wait())
	took := time.Since(began)
	full := measure(t, js, service, dir)
	require.Eventually(t, func() bool { return measure(t, js, service, dir).messages == 1 },
		time.Minute+time.Duration(total)*10*time.Millisecond, 200*time.Millisecond, "histories remain")
	t.Logf("%d rooms in %s, all removed after %s", total, took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	t.Logf("before  %s", before)
	t.Logf("full    %s", full)
	after := measure(t, js, service, dir)
	t.Logf("after   %s", after)
	assert.Equal(t, before.bytes, after.bytes, "what the stream holds")
	assert.Equal(t, []string{"owner"}, b.Members(t, "stays"))
	figures := endpointData(t, nc)
	assert.Equal(t, 1, figures.Rooms)
	assert.Zero(t, figures.Deleted, "rooms that the service still holds")
	if long {
		assert.Eventually(t, func() bool {
			after = measure(t, js, service, dir)
			return after.disk < full.disk/5 && after.rss-before.rss < (full.rss-before.rss)/2
		}, 15*time.Minute, 10*time.Second, "the server compacts its files every two minutes, and ids are remembered as long as that")
		t.Logf("later   %s, %s after the start", after, time.Since(began).Round(time.Second))
	}
}

func endpointData(t *testing.T, nc *nats.Conn) roomsvc.EndpointData {
	t.Helper()
	msg, err := nc.Request("$SRV.STATS.rooms", nil, 10*time.Second)
	require.NoError(t, err)
	var stats struct {
		Endpoints []struct{ Data roomsvc.EndpointData }
	}
	require.NoError(t, json.Unmarshal(msg.Data, &stats))
	return stats.Endpoints[0].Data
}

func lobby(ctx context.Context, client *roomclient.Client, id string) error {
	if _, err := client.Create(ctx, harness.NewRoom(id)); err != nil {
		return err
	}
	if _, err := client.Join(ctx, room.JoinRequest{RoomID: id, User: room.User{ID: "guest"}}); err != nil {
		return err
	}
	_, err := client.Delete(ctx, room.DeleteRequest{RoomID: id})
	return err
}

// footprint is the resources of a service and its server.
type footprint struct {
	messages, bytes uint64 // of the stream
	disk            int64  // bytes below the folder
	rss             int64  // bytes of the process
}

func (f footprint) String() string {
	const mib = 1 << 20
	return fmt.Sprintf("%7d messages of %6.1f MiB, on disk %6.1f MiB, RSS %6.1f MiB",
		f.messages, float64(f.bytes)/mib, float64(f.disk)/mib, float64(f.rss)/mib)
}

func measure(t *testing.T, js jetstream.JetStream, service *harness.Process, dir string) footprint {
	t.Helper()
	stream, err := js.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	state := stream.CachedInfo().State
	f := footprint{messages: state.Msgs, bytes: state.Bytes}
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server removes files meanwhile
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			f.disk += info.Size()
		}
		return err
	}))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", service.PID()))
	require.NoError(t, err)
	var size, resident int64
	_, err = fmt.Sscan(string(status), &size, &resident)
	require.NoError(t, err)
	f.rss = resident * int64(os.Getpagesize())
	return f
}
