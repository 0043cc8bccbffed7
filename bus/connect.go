package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The client reconnects after two consecutive pings without a pong. The NATS defaults detect a
// network partition only after minutes. TCP retransmits with doubling pauses, so the old connection
// can stay silent long after the partition has ended.
const (
	pingInterval = 2 * time.Second
	maxPingsOut  = 2
)

// Connect connects to the first server that answers. The default is 127.0.0.1:4222 if neither a URL
// nor a context is set. A publish while the connection is down fails at once instead of being buffered,
// unless an option changes that. A context that is only selected in the nats CLI is not used, because a
// program started on this machine should use this machine's server by default. Connect returns the
// *SettingsError of Check, and ErrUnreachable if no NATS server answers.
//
// When ctx is cancelled, Connect returns its error at once. When the deadline of ctx passes, Connect
// returns ErrUnreachable. The end of ctx has no effect on an established connection.
func (s Settings) Connect(ctx context.Context, opts ...nats.Option) (*nats.Conn, error) {
	all, err := s.resolve()
	if err == nil {
		err = all.check(s.Context)
	}
	if err != nil {
		return nil, err
	}
	given := all.options()
	given = append(given, nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPingsOut), nats.ReconnectBufSize(-1))
	nc, err := connect(ctx, all.URL, append(given, opts...))
	if isUnreachable(err) {
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, redacted(all.URL), err)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", redacted(all.URL), err)
	}
	return nc, nil
}

// connect is nats.Connect until the context ends. The client library takes no context, and waits
// two seconds for each server that accepts the connection and stays silent.
func connect(ctx context.Context, servers string, opts []nats.Option) (*nats.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var nc *nats.Conn
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err = nats.Connect(servers, opts...)
	}()
	select {
	case <-done:
		return nc, err
	case <-ctx.Done():
		go func() {
			if <-done; nc != nil {
				nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// redacted returns the addresses of servers without users, passwords and tokens.
func redacted(servers string) string {
	var all []string
	for server := range strings.SplitSeq(servers, ",") {
		if u, err := url.Parse(strings.TrimSpace(server)); err == nil && u.User != nil {
			u.User = url.User("xxxxx")
			server = u.String()
		}
		all = append(all, server)
	}
	return strings.Join(all, ",")
}

// isUnreachable reports whether connecting failed because no NATS server answers at the address.
// Other errors are answers: the server refuses the credentials, or its TLS does not fit.
func isUnreachable(err error) bool {
	for _, silence := range []error{
		nats.ErrNoServers, nats.ErrTimeout, context.DeadlineExceeded,
		nats.ErrNoInfoReceived, io.EOF, // another program listens there
	} {
		if errors.Is(err, silence) {
			return true
		}
	}
	var socket *net.OpError
	return errors.As(err, &socket) && socket.Op == "dial"
}
