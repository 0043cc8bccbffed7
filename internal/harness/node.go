package harness

import (
	"net"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// NewNode starts one NATS server as a separate process, and waits until it is healthy.
func NewNode(t testing.TB) *Cluster {
	t.Helper()
	server := Tool(t, NATSServer)
	ports := freePorts(t, 2)
	host, port, err := net.SplitHostPort(ports[0])
	require.NoError(t, err)
	_, monitor, err := net.SplitHostPort(ports[1])
	require.NoError(t, err)
	home := t.TempDir()
	n := &Node{
		Name: "n1", URL: "nats://" + ports[0], monitor: "http://" + ports[1],
		cmd: func() *exec.Cmd {
			cmd := exec.Command(server, "-a", host, "-p", port, "-m", monitor, "-js", "-sd", home)
			cmd.Env = Env(home)
			return cmd
		},
	}
	n.Start(t)
	c := &Cluster{Nodes: []*Node{n}}
	c.AwaitHealthy(t)
	return c
}

// Signal sends the node a signal.
func (n *Node) Signal(s syscall.Signal) { n.process.Signal(s) }
