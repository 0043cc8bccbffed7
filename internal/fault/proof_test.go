package fault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/subjects"
)

// Commands are linearizable across three room services. Their connections are cut, also with a
// commit or its ack in flight, and the services are killed and stopped.
func TestCommandsAreLinearizable(t *testing.T) {
	t.Parallel()
	c := harness.NewNode(t)
	var proxies []*harness.Proxy
	var urls []string
	for range 3 {
		p := harness.NewProxy(t, strings.TrimPrefix(c.Nodes[0].URL, "nats://"))
		proxies, urls = append(proxies, p), append(urls, p.URL())
	}
	s := newStage(t, c, urls...)
	s.run(t, soak(t, 8*time.Second),
		side{300 * time.Millisecond, []fault{cut(proxies,
			[]string{"HPUB room.post.", `{"changed":true`},
			[]string{`{"stream":"ROOM_EVENTS"`, "room.svc.join", "room.post.userjoin"})}},
		side{2 * time.Second, []fault{killOne("room service", s.services), stopOne("room service", s.services)}})
}

// Processes are killed and stopped on one NATS server. No acknowledged change is lost, none takes
// effect twice, every app gets its events, and all replicas agree.
func TestKillLoop(t *testing.T) {
	t.Parallel()
	c := harness.NewNode(t)
	s := newStage(t, c, c.URL(), c.URL())
	s.run(t, soak(t, 8*time.Second), killLoop(t, s)...)
}

// The same on three NATS servers, whose leaders also step down.
func TestKillLoopOnACluster(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, "../../deploy/nats/node.conf")
	s := newStage(t, c, c.URL(), c.URL(), c.URL())
	offices := []string{
		"STREAM.LEADER.STEPDOWN." + subjects.Events,
		"CONSUMER.LEADER.STEPDOWN." + subjects.Events + "." + subjects.Durable(guard),
		"CONSUMER.LEADER.STEPDOWN." + subjects.Events + "." + subjects.Durable(greeter),
	}
	s.run(t, soak(t, 10*time.Second), append(killLoop(t, s),
		side{3 * time.Second, []fault{stepDown(s.bus.NC, offices...)}})...)
}

// killLoop kills and stops services, workers and servers at once.
func killLoop(t *testing.T, s *stage) []side {
	nodes := []fault{killNode(t, s.cluster), stopNode(t, s.cluster)}
	if len(s.cluster.Nodes) > 1 {
		nodes = append(nodes, nodes[0], nodes[1], killNodes(t, s.cluster))
	}
	return []side{
		{4 * time.Second, nodes},
		{2 * time.Second, []fault{killOne("room service", s.services), stopOne("room service", s.services)}},
		{2 * time.Second, []fault{killOne("worker", s.workers), stopOne("worker", s.workers)}},
	}
}
