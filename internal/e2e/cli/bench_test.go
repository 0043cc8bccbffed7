package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/bench"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomsvc"
)

// benchmark is a run of "roombus bench", with its own temporary folder.
type benchmark struct {
	*harness.Process
	tmp string
}

func startBench(t *testing.T, args ...string) benchmark {
	t.Helper()
	b := benchmark{tmp: t.TempDir()}
	cmd := exec.Command(harness.Binary(t), append([]string{"bench", "--rounds", "2"}, args...)...)
	cmd.Env = harness.Env(t.TempDir(), "TMPDIR="+b.tmp)
	b.Process = harness.StartCmd(t, cmd)
	return b
}

// parts returns the command lines of the benchmark's processes, by id.
func (b benchmark) parts(t *testing.T) map[int32]string {
	t.Helper()
	parent, err := process.NewProcess(int32(b.PID()))
	require.NoError(t, err)
	children, err := parent.Children()
	require.NoError(t, err)
	parts := map[int32]string{}
	for _, c := range children {
		// Reading the machine's properties may start short-lived programs too.
		if line, err := c.Cmdline(); err == nil && strings.Contains(line, " bench part ") {
			parts[c.Pid] = line
		}
	}
	return parts
}

// running returns the command lines of the processes that still run.
func running(parts map[int32]string) (all []string) {
	for id, line := range parts {
		p, err := process.NewProcess(id)
		if err != nil {
			continue
		}
		if is, err := p.Cmdline(); err == nil && is == line {
			all = append(all, line)
		}
	}
	return all
}

func (b benchmark) leftNothing(t *testing.T, parts map[int32]string) {
	t.Helper()
	assert.Empty(t, running(parts))
	left, err := os.ReadDir(b.tmp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestBench(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "bench.html")
	b := startBench(t, "--apps", "1", "--rooms", "3", "--concurrency", "4", "--duration", "200ms", "--json", "--html", page)
	require.Zero(t, b.Wait())
	assert.Empty(t, b.Stderr.String())
	b.leftNothing(t, nil)
	var commands []bench.Command
	for _, r := range harness.JSONLines[bench.Result](t, b.Stdout.String()) {
		commands = append(commands, r.Command)
		assert.Equal(t, []int{1, 4}, []int{r.Apps, r.Concurrency})
		for _, f := range []bench.Figures{r.Roombus, r.Floor} {
			assert.Zero(t, f.Failed, f.Failure)
			assert.Positive(t, f.Commands)
			assert.Positive(t, f.Allocs)
			assert.Positive(t, f.LatencyMs.P50)
			assert.GreaterOrEqual(t, f.LatencyMs.Max, f.LatencyMs.P999)
		}
		for _, ratio := range []float64{r.Ratio.Least, r.Ratio.P50} {
			assert.Positive(t, ratio)
		}
		assert.Equal(t, roomsvc.Version, r.Environment.Roombus)
		assert.NotEmpty(t, r.Environment.NATS)
	}
	assert.ElementsMatch(t, bench.Commands(), commands)

	html, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(html), "<svg")
	assert.Empty(t, outside.FindAllString(string(html), -1))
}

// outside matches references that a page would fetch or run.
var outside = regexp.MustCompile(`<script|<link|src=|href=|@import|url\(`)

func TestBench_Trace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "trace.csv")
	rows := []string{"time,action,room,user"}
	for n := range 60 {
		user := "u" + strconv.Itoa(n/3)
		rows = append(rows, "2008-01-01T00:00:00Z,"+[]string{"leave", "join", "join"}[n%3]+",room-"+strconv.Itoa(n%2)+","+user)
	}
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(rows, "\n")+"\nno row\n"), 0o600))
	b := startBench(t, "--trace", path, "--limit", "50", "--apps", "0", "--concurrency", "2", "--chart")
	require.Zero(t, b.Wait())
	assert.Regexp(t, `(?m)^ +replay +0 +0 +2 +2 +\d+ +\d+ +\d\.\d\d +\S+-\S+( +[\d.]+){6} +0$`, b.Stdout.String())
	assert.Regexp(t, `(?m)^ +p1 +p50 +p90 +p99 +p99\.9$`, b.Stdout.String())
	assert.NotContains(t, b.Stdout.String(), "\x1b", "colours only on a terminal")
	assert.Contains(t, b.Stderr.String(), "replay, 0 apps, 2 rooms, 2 at once")

	all := startBench(t, "--trace", path, "--apps", "0", "--policies", "0,1", "--concurrency", "2", "--json")
	require.Zero(t, all.Wait())
	assert.Contains(t, all.Stderr.String(), "skipped bad rows: 1; the first: line 62")
	results := harness.JSONLines[bench.Result](t, all.Stdout.String())
	require.Len(t, results, 2)
	for n, r := range results {
		assert.Equal(t, n, r.Policies)
		assert.Equal(t, []int{60, 60}, []int{r.Roombus.Commands, r.Floor.Commands})
		assert.Zero(t, r.Roombus.Failed+r.Floor.Failed)
	}
	assert.Nil(t, results[0].Comparison)
	assert.Positive(t, results[1].Comparison.Throughput.Median, "with the ban list beside without it")
}

func TestBench_AccountInUseIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "lobby")
	stderr := harness.NewCLI(t, b.Server.URL()).Fails(1, "bench", "--apps", "0")
	assert.Contains(t, stderr, "in use")
	assert.Contains(t, stderr, "ROOM_EVENTS")
	assert.Equal(t, uint64(1), b.StreamState(t).Msgs)
}

// A benchmark leaves the NATS server as it found it.
func TestBench_ExternalNATS(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	p := harness.Start(t, harness.Binary(t), "bench", "--nats", server.URL(), "--commands", "create", "--apps", "0", "--concurrency", "1", "--duration", "50ms", "--rounds", "1")
	require.Zero(t, p.Wait())
	js, err := jetstream.New(harness.Connect(t, server))
	require.NoError(t, err)
	assert.Zero(t, harness.CountStreams(t, js))
}

// When the NATS server goes away, the benchmark ends at once and reports it.
func TestBench_ServerGoesAway(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	p := harness.Start(t, harness.Binary(t), "bench", "--nats", server.URL(), "--commands", "join", "--apps", "1", "--rooms", "1", "--concurrency", "2", "--duration", "1h")
	p.Stderr.Await(t, "2 at once")
	server.Shutdown()
	assert.Equal(t, 5, p.Wait())
	assert.Contains(t, p.Stderr.String(), "roombus: the connection to NATS was lost; once the server is back, remove the streams")
}

// many are more cells than a test waits for.
var many = strings.TrimSuffix(strings.Repeat("2,3,", 250), ",")

func TestBench_Interrupted(t *testing.T) {
	t.Parallel()
	b := startBench(t, "--commands", "join", "--apps", "0", "--rooms", "1", "--concurrency", many, "--duration", "100ms")
	b.Stderr.Await(t, "3 at once")
	parts := b.parts(t)
	require.Len(t, parts, 2)
	b.Signal(syscall.SIGINT)
	assert.Equal(t, 130, b.Wait())
	b.leftNothing(t, parts)
	assert.Regexp(t, `(?m)^ +join +0 +0 +1 +2 `, b.Stdout.String(), "the completed measurements are printed")
}

func TestBench_DeadProcessIsNamed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"service-1", "floor-app-01"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBench(t, "--commands", "join", "--apps", "1", "--rooms", "1", "--concurrency", many, "--duration", "100ms")
			b.Stderr.Await(t, "3 at once")
			victim := b.await(t, name)
			require.NoError(t, syscall.Kill(int(victim), syscall.SIGKILL))
			assert.Equal(t, 1, b.Wait())
			assert.Contains(t, b.Stderr.String(), "process "+name+" has ended: signal: killed")
			b.leftNothing(t, nil)
		})
	}
}

// await waits for the process of that name and returns its id.
func (b benchmark) await(t *testing.T, name string) (id int32) {
	t.Helper()
	require.Eventually(t, func() bool {
		for n, line := range b.parts(t) {
			if slices.Contains(strings.Fields(line), name) {
				id = n
			}
		}
		return id != 0
	}, time.Minute, 10*time.Millisecond)
	return id
}

func TestBench_KilledLeavesNoProcess(t *testing.T) {
	t.Parallel()
	b := startBench(t, "--commands", "join", "--apps", "1", "--concurrency", "2", "--duration", "1h")
	b.await(t, "floor-app-01")
	parts := b.parts(t)
	require.Len(t, parts, 4)
	b.Signal(syscall.SIGKILL)
	b.Wait()
	assert.Eventually(t, func() bool { return len(running(parts)) == 0 }, time.Minute, 10*time.Millisecond)
}

func TestBenchUsage(t *testing.T) {
	t.Parallel()
	c := harness.NewCLI(t, "nats://127.0.0.1:1")
	for _, wrong := range []struct{ args, says string }{
		{"--commands delete", "--commands"},
		{"--apps -1", "--apps must be 0 or more"},
		{"--policies 0,21", "--policies must be 20 or less, not 21"},
		{"--concurrency 4,0", "--concurrency must be 1 or more"},
		{"--rooms 0", "--rooms must be 1 or more"},
		{"--rounds 0", "--rounds must be 1 or more"},
		{"--duration 0s", "--duration must be more than 0"},
		{"--sync never", "--sync must be"},
		{"--sync always", "--sync is about the embedded NATS server"},
		{"--stream-replicas 3 --sync always", "--sync is about the embedded NATS server"},
		{"--store-dir /tmp", "--store-dir is about the embedded NATS server"},
		{"--stream-replicas 2", "--stream-replicas must be 1, 3 or 5"},
		{"--stream-replicas 0", "--stream-replicas must be 1, 3 or 5"},
		{"--limit 5", "--limit goes with --trace"},
		{"--trace t --limit -1", "--limit must not be negative"},
		{"--trace t --commands join", "--commands does not go with --trace"},
		{"--trace t --rooms 5", "--rooms does not go with --trace"},
		{"--trace t --duration 5s", "--duration does not go with --trace"},
		{"--trace /nonexistent", "cannot open the trace"},
		{"--html /nonexistent/page", "cannot write the page"},
	} {
		assert.Contains(t, c.Fails(2, append([]string{"bench"}, strings.Fields(wrong.args)...)...), wrong.says)
	}
	_, _, stderr := c.Run("bench", "--chart", "--json")
	assert.Contains(t, stderr, "--chart does not go with --json")
	c.Fails(5, "bench")
	assert.Contains(t, harness.NewCLI(t, "").Fails(2, "bench", "--stream-replicas", "3"), "--stream-replicas 3 needs a NATS cluster")
}
