package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// Patience is how long a client tries one command. A replicated group that lost its leader takes
// four to nine seconds to notice, and then has to elect another.
const Patience = 40 * time.Second

// Cluster is a set of NATS nodes, each a separate process.
type Cluster struct{ Nodes []*Node }

// Node is one NATS server. It may be killed and started again. Its store and ports stay.
type Node struct {
	Name    string
	URL     string // for clients
	cmd     func() *exec.Cmd
	monitor string
	process *Process
}

// NewCluster starts three nodes from a configuration file and waits until they form a cluster. As
// in deploy/nats/node.conf, the file takes the settings that differ between nodes from the
// environment.
func NewCluster(t testing.TB, config string) *Cluster {
	t.Helper()
	const size = 3
	server := Tool(t, NATSServer)
	ports := freePorts(t, 3*size)
	clients, peers, monitors := ports[:size], ports[size:2*size], ports[2*size:]
	routes := "[nats://" + strings.Join(peers, ", nats://") + "]"
	c := &Cluster{}
	for i := range size {
		name := fmt.Sprintf("n%d", i+1)
		home := t.TempDir()
		env := Env(home, "NODE_NAME="+name, "NODE_CLIENTS="+clients[i], "NODE_CLUSTER="+peers[i],
			"NODE_MONITOR="+monitors[i], "NODE_ROUTES="+routes, "NODE_STORE="+home, "NODE_SYNC=120s")
		c.Nodes = append(c.Nodes, &Node{
			Name: name, URL: "nats://" + clients[i], monitor: "http://" + monitors[i],
			cmd: func() *exec.Cmd {
				cmd := exec.Command(server, "--config", config)
				cmd.Env = env
				return cmd
			},
		})
	}
	for _, n := range c.Nodes {
		n.Start(t)
	}
	c.AwaitHealthy(t)
	return c
}

// URL lists all nodes.
func (c *Cluster) URL() string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL)
	}
	return strings.Join(urls, ",")
}

// Connect connects to the node with that index, or to another node if that node is down.
func (c *Cluster) Connect(t testing.TB, first int) *nats.Conn {
	t.Helper()
	urls := []string{c.Nodes[first].URL}
	for i, n := range c.Nodes {
		if i != first {
			urls = append(urls, n.URL)
		}
	}
	nc, err := nats.Connect(strings.Join(urls, ","), nats.DontRandomize(), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// Node returns the node with that name.
func (c *Cluster) Node(t testing.TB, name string) *Node {
	t.Helper()
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("there is no node %q", name)
	return nil
}

// AwaitHealthy waits until every node reports that it is part of the cluster and that its copies of
// the streams are up to date.
func (c *Cluster) AwaitHealthy(t testing.TB) {
	t.Helper()
	client := http.Client{Timeout: time.Second}
	for _, n := range c.Nodes {
		require.Eventually(t, func() bool {
			resp, err := client.Get(n.monitor + "/healthz")
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		}, processTimeout, 50*time.Millisecond, "node %s does not become healthy", n.Name)
	}
}

// Start starts the node.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	n.process = StartCmd(t, n.cmd())
}

// Kill kills the node with SIGKILL.
func (n *Node) Kill() {
	n.process.Signal(syscall.SIGKILL)
	n.process.Wait()
}

// ServeOn starts a room service as a process on the cluster, and waits until it serves.
func ServeOn(t testing.TB, c *Cluster, args ...string) *Process {
	t.Helper()
	p := Start(t, Binary(t), append([]string{"serve", "--nats", c.URL(), "--stream-replicas", "3"}, args...)...)
	p.Stderr.Await(t, `msg=serving`)
	return p
}

// FreeAddress returns a free address on 127.0.0.1, for a server that is started more than once.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return freePorts(t, 1)[0]
}

// freePorts returns free addresses on 127.0.0.1. The ports are below the range from which the
// system chooses ports, so that no other process gets one before the node starts.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	const lowest, highest = 10000, 30000
	var addresses []string
	for range 100 * n {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(highest-lowest))))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // all are held until the end, so that no port is returned twice
		addresses = append(addresses, l.Addr().String())
		if len(addresses) == n {
			return addresses
		}
	}
	t.Fatal("found no free ports")
	return nil
}
