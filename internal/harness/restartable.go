package harness

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

// Restartable is a server on a fixed port and folder that can be stopped and started.
type Restartable struct {
	Config embedded.Config
	Server *embedded.Server
}

// Start starts the server on its port and folder. While the server was stopped another test may have
// looked whether the port is free.
func (r *Restartable) Start(t testing.TB) {
	t.Helper()
	var err error
	require.Eventually(t, func() bool {
		r.Server, err = embedded.Start(t.Context(), r.Config)
		return !errors.Is(err, embedded.ErrAddressInUse)
	}, ReplyTime, Tick)
	require.NoError(t, err)
}
