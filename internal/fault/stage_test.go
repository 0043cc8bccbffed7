package fault_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/internal/linear"
	"github.com/roombus/roombus/roomclient"
)

// stage holds the parts that faults break, each a separate process.
type stage struct {
	bus      *harness.Bus // the test's own connection, which has no faults
	cluster  *harness.Cluster
	services []*victim
	workers  []*victim
	records  records
	nemesis  *nemesis
	clients  *clients
}

// ackWait is how long an event stays with a silent worker. It is shorter than the longest stop of a
// process.
const ackWait = 5 * time.Second

// newStage starts a room service for each URL, and workers.
func newStage(t *testing.T, c *harness.Cluster, urls ...string) *stage {
	t.Helper()
	seed := seed(t)
	s := &stage{
		cluster: c, records: records{t.TempDir()}, nemesis: newNemesis(seed),
		clients: &clients{history: linear.NewHistory(), seed: seed, began: time.Now()},
	}
	replicas := "1"
	if len(c.Nodes) > 1 {
		replicas = "3"
	}
	for _, url := range urls {
		s.services = append(s.services, keepService(t, url, replicas))
	}
	nc := c.Connect(t, 0)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s.bus = &harness.Bus{NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})}
	for app, manifest := range apps() {
		s.bus.Register(t, manifest)
		s.bus.SetAckWait(t, app, ackWait)
	}
	for _, app := range []string{guard, guard, greeter} {
		s.workers = append(s.workers, keepWorker(t, c.URL(), app, s.records))
	}
	return s
}

func keepService(t *testing.T, url, replicas string) *victim {
	t.Helper()
	program, env := harness.Binary(t), harness.Env(t.TempDir())
	v := keep(t, "room service", func() *exec.Cmd {
		cmd := exec.Command(program, "serve", "--nats", url, "--stream-replicas", replicas, "--breaker-pause", "500ms", "--snapshot-every", "200")
		cmd.Env = env
		return cmd
	})
	v.Output.Await(t, "msg=serving")
	return v
}

// side is a sequence of random faults, with pauses of up to pause.
type side struct {
	pause  time.Duration
	faults []fault
}

// run runs the clients for that long while every side injects faults, and a little longer. Then it
// checks the guarantees.
func (s *stage) run(t *testing.T, long time.Duration, sides ...side) {
	t.Helper()
	working, rest := context.WithCancel(t.Context())
	defer rest()
	done := s.clients.use(working, t, s.cluster)
	active, calm := context.WithTimeout(t.Context(), long)
	defer calm()
	for _, side := range sides {
		s.nemesis.Run(active, side.pause, side.faults...)
	}
	s.nemesis.Wait()
	t.Logf("done: %s", s.nemesis)
	s.cluster.AwaitHealthy(t)
	pause(t.Context(), time.Second)
	rest()
	done()
	s.verify(t)
}
