package operations_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// manager is the socket of a service manager, and the messages it received.
type manager struct {
	path string
	told *harness.Output
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{path: filepath.Join(t.TempDir(), "notify"), told: harness.NewOutput()}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for buf := make([]byte, 4096); ; {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			_, _ = m.told.Write(append(buf[:n:n], '\n'))
		}
	}()
	t.Cleanup(func() {
		_ = socket.Close()
		<-ended
	})
	return m
}

// jetStreamServer is a server in this process whose connections the test can inspect.
func jetStreamServer(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(harness.ReplyTime))
	return s
}

// healthLine is a line of roombus health --json.
type healthLine struct {
	Host, Version, Revision, ID string
	PID, Rooms                  int
	Ready                       bool
	NotReady                    string `json:"not_ready"`
}

// One id identifies a service in the log, on the bus and at NATS. All health checks show whether it
// can commit.
func TestServe_IdentityAndReadiness(t *testing.T) {
	t.Parallel()
	s, systemd := jetStreamServer(t), newManager(t)
	host, err := os.Hostname()
	require.NoError(t, err)
	c := harness.NewCLI(t, s.ClientURL())
	assert.Contains(t, c.Fails(5, "health"), "no room service answers")

	cmd := exec.Command(harness.Binary(t), "serve", "--nats", s.ClientURL())
	cmd.Env = harness.Env(t.TempDir(), "NOTIFY_SOCKET="+systemd.path)
	p := harness.StartCmd(t, cmd)
	systemd.told.Await(t, `^STATUS=not ready: the service is starting\n(.*\n)*READY=1\n`)
	systemd.told.Await(t, `STATUS=ready\n`)
	pid := strconv.Itoa(p.PID())
	id := p.Stderr.Await(t, `^time=\S+ level=INFO msg=starting version=`+roomsvc.Version+` revision=\S+ id=(\w+) host=`+host+` pid=`+pid+`\n`)[1]

	all, err := s.Connz(nil)
	require.NoError(t, err)
	require.Len(t, all.Conns, 1)
	assert.Equal(t, "roombus serve "+host+" "+id, all.Conns[0].Name)
	is := harness.JSONLines[healthLine](t, c.OK("health", "--local", "--json"))
	require.Len(t, is, 1)
	assert.NotEmpty(t, is[0].Revision)
	is[0].Revision = ""
	assert.Equal(t, healthLine{Host: host, PID: p.PID(), Version: roomsvc.Version, ID: id, Ready: true}, is[0])

	nc := harness.ConnectTo(t, s.ClientURL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), subjects.Events))
	systemd.told.Await(t, `STATUS=not ready: the stream ROOM_EVENTS is gone\n`)
	p.Stderr.Await(t, `level=WARN msg="not ready: changes of rooms cannot be committed" reason="the stream ROOM_EVENTS is gone"`)
	status, stdout, stderr := c.Run("health")
	assert.Equal(t, 5, status)
	assert.Regexp(t, `(?m)^`+host+` +`+pid+` .* `+id+` +0 +not ready: the stream ROOM_EVENTS is gone$`, stdout)
	assert.Equal(t, "roombus: not ready: 1 of 1 room services\n", stderr)

	p.Signal(syscall.SIGTERM)
	assert.Zero(t, p.Wait())
	systemd.told.Await(t, `STOPPING=1\nSTATUS=draining\n$`)
}

// A worker can be told from other workers of its app.
func TestWorker_MetadataNamesTheProcess(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Work(t, room.Manifest{ID: "guard"}, scene.AllowJoins)
	workers, err := bus.Ping(t.Context(), b.NC, "guard")
	require.NoError(t, err)
	require.Len(t, workers, 1)
	host, err := os.Hostname()
	require.NoError(t, err)
	assert.Equal(t, host, workers[0].Metadata["host"])
	assert.Equal(t, strconv.Itoa(os.Getpid()), workers[0].Metadata["pid"])
	assert.NotEmpty(t, workers[0].Metadata["revision"])
	assert.NotEmpty(t, workers[0].Metadata["started"])
}
