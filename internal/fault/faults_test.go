package fault_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/internal/harness"
)

// The bounds of the time for which a process is stopped.
const (
	shortStop = 500 * time.Millisecond
	longStop  = 6 * time.Second
)

// killOne kills one of the processes with SIGKILL.
func killOne(what string, victims []*victim) fault {
	return fault{Name: "kill -9 of a " + what, Do: func(_ context.Context, r *rand.Rand) bool {
		victims[r.IntN(len(victims))].Signal(syscall.SIGKILL)
		return true
	}}
}

// stopOne stops one of the processes for a while, with SIGSTOP and SIGCONT.
func stopOne(what string, victims []*victim) fault {
	return fault{Name: "SIGSTOP of a " + what, Do: func(ctx context.Context, r *rand.Rand) bool {
		v := victims[r.IntN(len(victims))]
		v.Signal(syscall.SIGSTOP)
		pause(ctx, between(r, shortStop, longStop))
		v.Signal(syscall.SIGCONT)
		return true
	}}
}

// killNode kills one of the NATS servers, and starts it again.
func killNode(t testing.TB, c *harness.Cluster) fault {
	return fault{Name: "kill -9 of a NATS server", Do: func(ctx context.Context, r *rand.Rand) bool {
		restart(ctx, t, r, c, c.Nodes[r.IntN(len(c.Nodes))])
		return true
	}}
}

// killNodes kills all NATS servers at once, and starts them again.
func killNodes(t testing.TB, c *harness.Cluster) fault {
	return fault{Name: "kill -9 of all NATS servers at once", Do: func(ctx context.Context, r *rand.Rand) bool {
		restart(ctx, t, r, c, c.Nodes...)
		return true
	}}
}

func restart(ctx context.Context, t testing.TB, r *rand.Rand, c *harness.Cluster, nodes ...*harness.Node) {
	for _, n := range nodes {
		n.Kill()
	}
	pause(ctx, between(r, 0, 2*time.Second))
	for _, n := range nodes {
		n.Start(t)
	}
	c.AwaitHealthy(t) // so that a majority is whole before the next fault
}

// stopNode stops one of the NATS servers for a while.
func stopNode(t testing.TB, c *harness.Cluster) fault {
	return fault{Name: "SIGSTOP of a NATS server", Do: func(ctx context.Context, r *rand.Rand) bool {
		n := c.Nodes[r.IntN(len(c.Nodes))]
		n.Signal(syscall.SIGSTOP)
		pause(ctx, between(r, shortStop, longStop))
		n.Signal(syscall.SIGCONT)
		c.AwaitHealthy(t)
		return true
	}}
}

// stepDown makes the leader of one of the named streams or consumers step down. The names are those
// of the JetStream API: STREAM.LEADER.STEPDOWN.<stream> and
// CONSUMER.LEADER.STEPDOWN.<stream>.<consumer>.
func stepDown(nc *nats.Conn, offices ...string) fault {
	return fault{Name: "leader step-down", Do: func(ctx context.Context, r *rand.Rand) bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		reply, err := nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+offices[r.IntN(len(offices))], nil)
		return err == nil && stepped(reply.Data)
	}}
}

// cut cuts a connection through one of the proxies when the next message with one of the texts
// passes.
func cut(proxies []*harness.Proxy, toServer, toClient []string) fault {
	return fault{Name: "connection cut", Do: func(ctx context.Context, r *rand.Rand) bool {
		p := proxies[r.IntN(len(proxies))]
		before := p.Cuts()
		if n := r.IntN(len(toServer) + len(toClient)); n < len(toServer) {
			p.LoseToServer(toServer[n])
		} else {
			p.LoseToClient(toClient[n-len(toServer)])
		}
		for range 50 {
			if p.Cuts() > before || !pause(ctx, 20*time.Millisecond) {
				break
			}
		}
		return p.Cuts() > before
	}}
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}

// stepped reports whether the JetStream API confirmed the step-down.
func stepped(reply []byte) bool {
	var answer struct {
		Success bool `json:"success"`
	}
	return json.Unmarshal(reply, &answer) == nil && answer.Success
}
