package bus

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

// Connection returns a connection to an embedded server that runs until the test ends.
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

// Address returns the servers of the settings and their context.
func (s Settings) Address() (string, error) {
	r, err := s.resolve()
	if err != nil {
		return "", err
	}
	return r.URL, nil
}

// Options returns the options of a connection with the settings.
func (s Settings) Options() ([]nats.Option, error) {
	r, err := s.resolve()
	if err != nil {
		return nil, err
	}
	return r.options(), nil
}

// Pending returns the number of attempts that are kept for replies.
func (r *Requester) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending)
}

// Queued returns the number of appends that wait for the next batch.
func (g *AppendGroup) Queued() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}
