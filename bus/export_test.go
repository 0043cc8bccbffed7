package bus

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

// Connection is one to a server inside, until the test ends.
func Connection(t *testing.T) *nats.Conn {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// Address is the servers to connect to, as the settings and the context say.
func (s Settings) Address() (string, error) {
	r, err := s.resolve()
	if err != nil {
		return "", err
	}
	return r.URL, nil
}

// Options are those of a connection with the settings.
func (s Settings) Options() ([]nats.Option, error) {
	r, err := s.resolve()
	if err != nil {
		return nil, err
	}
	return r.options(), nil
}

// Waiting is the number of replies that are expected.
func (a *Requester) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting)
}

// Gathered is the number of appends that wait for the next batch.
func (g *AppendGroup) Gathered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}
