package operations_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/subjects"
)

// TestServe_UnfitServer starts "roombus serve" on an unsuitable NATS server. It ends at once, and
// its last line names the problem and the remedy.
func TestServe_UnfitServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url    func(*testing.T) string
		args   []string
		status int
		says   []string
	}{
		"without JetStream": {
			url:    func(t *testing.T) string { return natsServer(t, harness.NATSServer) },
			status: 5,
			says:   []string{"JetStream is not enabled", "start the server with -js"},
		},
		"too old": {
			url: func(t *testing.T) string {
				return natsServer(t, harness.OldNATSServer, "--jetstream", "--store_dir", t.TempDir())
			},
			status: 1,
			says:   []string{"the NATS server is too old", "is 2.10.", "2.12.0 or newer is needed", "upgrade it"},
		},
		"not there": {
			url:    func(*testing.T) string { return "nats://127.0.0.1:1" },
			status: 5,
			says:   []string{"cannot reach NATS at nats://127.0.0.1:1", "start a server there", "--nats"},
		},
		"with another stream of that name": {
			url:    streamThatForgets,
			status: 1,
			says:   []string{"stream ROOM_EVENTS", "max_age is 1h0m0s, must be 0s", "roombus streams --apply --stream-replicas 1"},
		},
		"with a stream of that name in memory": {
			url:    streamInMemory,
			status: 1,
			says:   []string{"storage is Memory, must be File", "its storage cannot be changed: stop the services, back it up, remove it, and restore it with file storage"},
		},
		"alone, asked for three copies": {
			url:    func(t *testing.T) string { return harness.NewServer(t).URL() },
			args:   []string{"--stream-replicas", "3"},
			status: 2,
			says:   []string{"creating stream", "with 3 copies: a NATS server alone keeps no copies; this NATS server is in no cluster: leave --stream-replicas out"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"serve", "--nats", c.url(t)}, c.args...)
			status, stdout, stderr := harness.RunProgram(t, harness.Binary(t), args...)
			assert.Equal(t, c.status, status)
			assert.Empty(t, stdout)
			line := complaint(t, stderr)
			for _, part := range c.says {
				assert.Equal(t, 1, strings.Count(line, part), "%q in %s", part, line)
			}
		})
	}
}

// complaint returns the one line that is not of the log.
func complaint(t *testing.T, stderr string) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "time=") {
			found = append(found, line)
		}
	}
	require.Len(t, found, 1, stderr)
	assert.True(t, strings.HasPrefix(found[0], "roombus: "), found[0])
	assert.True(t, strings.HasSuffix(stderr, found[0]), "it is not the last line:\n%s", stderr)
	return found[0]
}

// natsServer starts a nats-server of the given version on a free port and returns its URL.
func natsServer(t *testing.T, version string, args ...string) string {
	t.Helper()
	cmd := exec.Command(harness.Tool(t, version), append([]string{"--addr", "127.0.0.1", "--port", "-1"}, args...)...)
	cmd.Env = harness.Env(t.TempDir())
	p := harness.StartCmd(t, cmd)
	address := p.Stderr.Await(t, `Listening for client connections on (\S+)`)[1]
	p.Stderr.Await(t, `Server is ready`)
	return "nats://" + address
}

// streamThatForgets is a server whose stream of post-events keeps them for an hour.
func streamThatForgets(t *testing.T) string {
	t.Helper()
	return withStream(t, jetstream.StreamConfig{Name: subjects.Events, Subjects: []string{subjects.AllEvents}, MaxAge: time.Hour})
}

func streamInMemory(t *testing.T) string {
	t.Helper()
	return withStream(t, jetstream.StreamConfig{Name: subjects.Events, Subjects: []string{subjects.AllEvents}, Storage: jetstream.MemoryStorage})
}

func withStream(t *testing.T, cfg jetstream.StreamConfig) string {
	t.Helper()
	server := harness.NewServer(t)
	js, err := jetstream.New(harness.Connect(t, server))
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), cfg)
	require.NoError(t, err)
	return server.URL()
}
