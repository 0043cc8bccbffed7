package state_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/internal/replay"
	"github.com/roombus/roombus/internal/trace"
)

// sharedTrace is the path of the trace next to a checkout.
const sharedTrace = "../../../../shared/traces/w3c-irc-2008-2009.csv.gz"

// replayTime bounds the replay of the whole trace.
const replayTime = 10 * time.Minute

// expectation is the expected result of a trace, computed by reading it.
type expectation struct {
	commands, changed, unchanged int
	members                      map[string][]string
}

func expect(t *testing.T, path string, limit int) expectation {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	r, err := trace.NewReader(f)
	require.NoError(t, err)
	x := expectation{members: map[string][]string{}}
	in := map[string]map[string]bool{}
	for row, err := range r.Rows() {
		require.NoError(t, err)
		if limit > 0 && x.commands == limit {
			break
		}
		x.commands++
		if in[row.Room] == nil {
			in[row.Room] = map[string]bool{replay.Creator: true}
		}
		joins := row.Action == trace.Join
		if in[row.Room][row.User] == joins {
			x.unchanged++
		} else {
			x.changed++
		}
		in[row.Room][row.User] = joins
	}
	for id, users := range in {
		for u, member := range users {
			if member {
				x.members[id] = append(x.members[id], u)
			}
		}
		slices.Sort(x.members[id])
	}
	return x
}

// replayed runs the replay command and returns its summary.
func replayed(t *testing.T, url, path string, args ...string) replay.Summary {
	t.Helper()
	p := harness.Start(t, harness.Binary(t), append([]string{"replay", path, "--nats", url, "--json"}, args...)...)
	require.Zero(t, p.WaitFor(replayTime), p.Stderr)
	var s replay.Summary
	require.NoError(t, json.Unmarshal([]byte(p.Stdout.String()), &s))
	return s
}

func (x expectation) check(t *testing.T, b *harness.Bus, s replay.Summary) {
	t.Helper()
	assert.Equal(t, []int{x.commands, x.changed, x.unchanged, 0, 0, 0}, []int{s.Commands, s.Changed, s.Unchanged, s.Denied, s.Failed, s.BadRows})
	assert.Equal(t, len(x.members), s.RoomsCreated)
	x.checkMembers(t, b)
	stream, err := b.JS.Stream(t.Context(), "ROOM_EVENTS")
	require.NoError(t, err)
	assert.Equal(t, uint64(x.changed+len(x.members)), stream.CachedInfo().State.Msgs)
}

func (x expectation) checkMembers(t *testing.T, b *harness.Bus) {
	t.Helper()
	for id, members := range x.members {
		assert.Equal(t, members, b.Members(t, id), id)
	}
}

// The short form of the real trace: a thousand rows, and a kill -9 in the middle.
func TestTrace(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs(sharedTrace)
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Skip("the trace is not beside this checkout, at ../shared/traces: it is not part of the project")
	}
	const limit = 1000
	replayThrough(t, path, limit, "1", "16")
}

// The whole trace takes minutes: "make trace" runs it.
func TestWholeTrace(t *testing.T) {
	path := os.Getenv("ROOMBUS_TRACE")
	if path == "" {
		t.Skip("the whole trace takes minutes: run it with make trace")
	}
	replayThrough(t, path, 0, "1", "16")
}

func replayThrough(t *testing.T, path string, limit int, concurrencies ...string) {
	t.Helper()
	x := expect(t, path, limit)
	limited := "--limit=" + strconv.Itoa(limit)
	for _, n := range concurrencies {
		p, url := harness.ServeProcess(t, "--store-dir", t.TempDir())
		b := harness.BusAt(t, url)
		s := replayed(t, url, path, limited, "--concurrency", n)
		t.Logf("concurrency %s: %+v", n, s)
		x.check(t, b, s)
		assert.Zero(t, quarantined(t, b))
		p.Signal(syscall.SIGTERM)
		assert.Zero(t, p.Wait())
	}
	killed(t, x, path, limited)
}

// killed kills the service in the middle of a replay, which continues once the service is back.
// Then it replays the whole trace again.
func killed(t *testing.T, x expectation, path, limited string) {
	t.Helper()
	dir := t.TempDir()
	p, url := harness.ServeProcess(t, "--store-dir", dir)
	address := strings.TrimPrefix(url, "nats://")
	first := harness.Start(t, harness.Binary(t), "replay", path, "--nats", url, "--json", limited)
	b := harness.BusAt(t, url)
	half := uint64(x.changed / 2)
	require.Eventually(t, func() bool {
		stream, err := b.JS.Stream(t.Context(), "ROOM_EVENTS")
		return err == nil && stream.CachedInfo().State.LastSeq > half
	}, replayTime, 10*time.Millisecond)
	p.Signal(syscall.SIGKILL)
	p.Wait()
	p, _ = harness.ServeProcess(t, "--store-dir", dir, "--listen", address)
	require.Zero(t, first.WaitFor(replayTime), "the replay goes on")
	var s replay.Summary
	require.NoError(t, json.Unmarshal([]byte(first.Stdout.String()), &s))
	assert.Equal(t, x.commands, s.Commands)
	assert.Zero(t, s.Failed)
	assert.Equal(t, x.changed, s.Changed, "a command sent again with its id has the result of the first")
	x.checkMembers(t, b)

	s = replayed(t, url, path, limited)
	assert.Equal(t, x.commands, s.Changed+s.Unchanged)
	x.checkMembers(t, b)
	assert.Zero(t, quarantined(t, b), "every event chains")

	// A service that reads the stream again has the same state.
	p.Signal(syscall.SIGKILL)
	p.Wait()
	harness.ServeProcess(t, "--store-dir", dir, "--listen", address)
	x.checkMembers(t, b)
	assert.Zero(t, quarantined(t, b))
	scene.RequireChained(t, b.Decoded(t))
}
