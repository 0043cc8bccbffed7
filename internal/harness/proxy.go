package harness

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy stands between a connection and its server, to lose messages in transit.
type Proxy struct {
	t        testing.TB
	target   string
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	cuts   map[direction][]byte
	count  int
	conns  []net.Conn
	closed bool
	held   chan struct{} // closed by Release; nil if nothing is held
}

type direction int

const (
	toServer direction = iota
	toClient
)

// NewProxy starts a proxy to the address of a server.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{t: t, target: target, listener: l, cuts: make(map[direction][]byte)}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		p.Release()
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.done.Wait()
	})
	return p
}

// URL is the address of the proxy.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// LoseToServer cuts the connection, once, instead of passing on data with that text to the server.
func (p *Proxy) LoseToServer(text string) { p.lose(toServer, text) }

// LoseToClient cuts the connection, once, instead of passing on data with that text to the client.
func (p *Proxy) LoseToClient(text string) { p.lose(toClient, text) }

func (p *Proxy) lose(d direction, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts[d] = []byte(text)
}

// Close cuts every connection and refuses new ones until Open.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.conns {
		_ = c.Close() // it may be closed already
	}
	p.conns = nil
}

// Open lets connections through again.
func (p *Proxy) Open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
}

// Hold delays data to the server until Release. It closes no connection.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = make(chan struct{})
	}
}

// Release passes on the held data.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

// Cuts returns how often the connection has been cut.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", p.target)
		if err != nil {
			_ = client.Close() // the server is down
			continue
		}
		if !p.let(client, server) {
			_, _ = client.Close(), server.Close()
			continue
		}
		p.done.Go(func() { p.pass(toServer, client, server) })
		p.done.Go(func() { p.pass(toClient, server, client) })
	}
}

func (p *Proxy) let(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns = append(p.conns, conns...)
	return true
}

// pass copies data until one side closes or the connection is cut.
func (p *Proxy) pass(d direction, from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || p.cut(d, buf[:n]) {
			return
		}
		if d == toServer {
			p.awaitRelease()
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) cut(d direction, data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text := p.cuts[d]; text == nil || !bytes.Contains(data, text) {
		return false
	}
	delete(p.cuts, d)
	p.count++
	return true
}

func (p *Proxy) awaitRelease() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		<-held
	}
}
