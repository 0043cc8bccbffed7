package harness

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

// Restartable is a server on a fixed port and folder that can be stopped and started.
type Restartable struct {
	Config embedded.Config
	Server *embedded.Server
}

// Start starts the server on its port and folder.
func (r *Restartable) Start(t testing.TB) {
	t.Helper()
	server, err := embedded.Start(t.Context(), r.Config)
	require.NoError(t, err)
	r.Server = server
}
