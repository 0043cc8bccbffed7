package auth_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/auth"
)

// A nats-server with resolver.conf accepts the credentials of the folder, and takes the accounts of apps.
func TestResolverFile_RunsAServer(t *testing.T) {
	t.Setenv("NODE_ACCOUNTS", t.TempDir())
	f := newFolder(t)
	set(t, f, app("guard"))
	opts, err := server.ProcessConfigFile(f.ResolverFile())
	require.NoError(t, err)
	opts.Host, opts.Port, opts.NoSigs, opts.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(opts)
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(10*time.Second))
	connects := func(name string) (*nats.Conn, error) {
		nc, err := nats.Connect(s.ClientURL(), nats.UserCredentials(f.Creds(name)))
		if err == nil {
			t.Cleanup(nc.Close)
		}
		return nc, err
	}
	for _, name := range []string{auth.Rooms, auth.Operators, auth.Clients} {
		_, err := connects(name)
		require.NoError(t, err, name)
	}
	sys, err := connects(auth.System)
	require.NoError(t, err)
	_, err = connects("guard")
	require.ErrorIs(t, err, nats.ErrAuthorization)
	push(t, f, sys, "guard")
	_, err = connects("guard")
	require.NoError(t, err)
}
