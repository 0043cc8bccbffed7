package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listenWith listens at an address where each connection is handled by the function, then closed when the
// test ends. The channel receives one value for each connection.
func listenWith(t *testing.T, handle func(net.Conn)) (url string, accepted <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns := make(chan struct{}, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			handle(conn)
			conns <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return "nats://" + listener.Addr().String(), conns
}

func silent(net.Conn) {}

func TestConnection_InterruptedWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"room get lobby", "room join lobby bob", "room get lobby --at 1", "app ls", "policy ls", "events", "rejections", "dead ls", "explain id",
		"health", "streams --check", "backup " + t.TempDir(), "bench", "serve",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			url, accepted := listenWith(t, silent)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var stderr bytes.Buffer
			ended := make(chan int, 1)
			go func() {
				ended <- Run(ctx, append(strings.Fields(command), "--nats", url), strings.NewReader(""), io.Discard, &stderr)
			}()
			select {
			case <-accepted:
			case status := <-ended:
				require.Failf(t, "it did not connect", "status %d, %s", status, stderr.String())
			}
			at := time.Now()
			interrupt()
			assert.Equal(t, exitInterrupted, <-ended)
			assert.Less(t, time.Since(at), time.Second)
			assert.Contains(t, stderr.String(), "roombus: interrupted\n")
		})
	}
}

func TestHealth_UnreachableService(t *testing.T) {
	t.Parallel()
	quiet, _ := listenWith(t, silent)
	other, _ := listenWith(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n") })
	closed, _ := listenWith(t, func(conn net.Conn) { _ = conn.Close() })
	refusing, _ := listenWith(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "INFO {\"server_id\":\"s\",\"version\":\"2.15.2\",\"auth_required\":true,\"max_payload\":1048576}\r\n-ERR 'Authorization Violation'\r\n")
	})
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"silent server":    {[]string{"--nats", quiet, "--timeout", "10ms"}, "cannot reach NATS"},
		"another protocol": {[]string{"--nats", other}, "cannot reach NATS"},
		"closed":           {[]string{"--nats", closed}, "cannot reach NATS"},
		"unknown name":     {[]string{"--nats", "nats://nohost.invalid:4222", "--timeout", "500ms"}, "cannot reach NATS"},
		"wrong password":   {[]string{"--nats", refusing, "--user", "u", "--password", "wrong"}, "Authorization Violation; authenticate with"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			at := time.Now()
			assert.Equal(t, exitUnavailable, Run(t.Context(), append([]string{"health"}, row.args...), strings.NewReader(""), io.Discard, &stderr))
			assert.Less(t, time.Since(at), time.Second)
			assert.Contains(t, stderr.String(), "roombus: not ready: ")
			assert.Contains(t, stderr.String(), row.says)
		})
	}
}
