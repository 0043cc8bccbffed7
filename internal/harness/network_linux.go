package harness

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Network connects hosts through this process. Each host is a network namespace. Packets are read
// from the tun device of one host and written to that of another. The test may delay or drop them.
// Nothing in the system gets a name, so the namespaces disappear with the test's process and its
// children.
type Network struct {
	mu    sync.RWMutex
	hosts map[[4]byte]*Host
	group map[*Host]int // hosts of different groups do not reach each other
	loss  float64
	delay func() time.Duration
}

// Host is one network namespace.
type Host struct {
	IP  string
	net *Network
	ns  *os.File
	tun *os.File
}

// mtu is that of the tun devices.
const mtu = 1500

// NewNetwork makes hosts 10.77.0.1 and so on. It skips the test if the system does not allow that.
func NewNetwork(t testing.TB, hosts int) (*Network, []*Host) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of iproute2, to set up network namespaces")
	}
	n := &Network{hosts: make(map[[4]byte]*Host), group: make(map[*Host]int)}
	for k := range hosts {
		if err := n.add(t, byte(k+1)); err != nil {
			t.Skipf("needs network namespaces and /dev/net/tun: run it as root, or as root of a namespace (unshare -rn): %v", err)
		}
	}
	for _, h := range n.hosts {
		go h.forward()
	}
	byIP := func(a, b *Host) int { return slices.Compare(net.ParseIP(a.IP), net.ParseIP(b.IP)) }
	return n, slices.SortedFunc(maps.Values(n.hosts), byIP)
}

func (n *Network) add(t testing.TB, number byte) error {
	ip := [4]byte{10, 77, 0, number}
	h := &Host{IP: net.IP(ip[:]).String(), net: n}
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
		made <- h.open()
	}()
	if err := <-made; err != nil {
		return err
	}
	t.Cleanup(func() { _, _ = h.tun.Close(), h.ns.Close() })
	n.hosts[ip] = h
	return nil
}

// open makes the namespace, moves the calling thread into it, and makes its device.
func (h *Host) open() (err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("making a network namespace: %w", err)
	}
	if h.ns, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())); err != nil {
		return err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq("tun0")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("making a tun device: %w", err)
	}
	h.tun = os.NewFile(uintptr(fd), "tun") // only now: a file without its device cannot be polled
	for _, args := range [][]string{{"addr", "add", h.IP + "/24", "dev", "tun0"}, {"link", "set", "tun0", "up"}, {"link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// forward passes on the packets of the host, until its device is closed.
func (h *Host) forward() {
	for {
		packet := make([]byte, mtu)
		size, err := h.tun.Read(packet)
		if err != nil {
			return
		}
		h.net.pass(h, packet[:size])
	}
}

func (n *Network) pass(from *Host, packet []byte) {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return // not IPv4
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	to := n.hosts[[4]byte(packet[16:20])]
	if to == nil || n.group[from] != n.group[to] || rand.Float64() < n.loss {
		return
	}
	if n.delay == nil {
		_, _ = to.tun.Write(packet) // a full queue drops packets, as on any network
		return
	}
	time.AfterFunc(n.delay(), func() { _, _ = to.tun.Write(packet) })
}

// Part cuts these hosts off from all others. They still reach each other.
func (n *Network) Part(hosts ...*Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range hosts {
		n.group[h] = 1
	}
}

// Delay delays every packet by mean, give or take deviation.
func (n *Network) Delay(mean, deviation time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = func() time.Duration { return mean - deviation + rand.N(2*deviation) }
}

// Lose drops that part of all packets.
func (n *Network) Lose(part float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = part
}

// Heal removes all faults.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.group)
	n.loss, n.delay = 0, nil
}

// Start starts a program on the host.
func (h *Host) Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	var p *Process
	require.NoError(t, h.do(func() error {
		p = StartCmd(t, cmd)
		return nil
	}))
	return p
}

// Dial connects from the host. Host implements the dialer of nats.SetCustomDialer.
func (h *Host) Dial(network, address string) (conn net.Conn, err error) {
	err = h.do(func() error {
		conn, err = net.DialTimeout(network, address, 2*time.Second)
		return err
	})
	return conn, err
}

// do runs f on a thread of the host. Files and processes that f opens and starts belong to the
// host.
func (h *Host) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return err
	}
	defer func() { _ = home.Close() }()
	if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the namespace of %s: %w", h.IP, err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // the thread would stay in the wrong network
	}
	return err
}
