package embedded_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roombus/roombus/bus/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStart_Refuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	_, err = embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: taken.Addr().String()})
	require.ErrorIs(t, err, embedded.ErrAddressInUse)
	for _, address := range []string{"nowhere", "127.0.0.1:http", "127.0.0.1:70000"} {
		_, err = embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: address})
		require.ErrorContains(t, err, address)
	}

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = embedded.Start(t.Context(), embedded.Config{StoreDir: filepath.Join(file, "below")})
	require.ErrorIs(t, err, embedded.ErrStoreUnwritable)

	dir := t.TempDir()
	first, err := embedded.Start(t.Context(), embedded.Config{StoreDir: dir})
	require.NoError(t, err)
	assert.Empty(t, first.URL())
	_, err = embedded.Start(t.Context(), embedded.Config{StoreDir: dir})
	require.ErrorIs(t, err, embedded.ErrStoreLocked)
	first.Shutdown()
	second, err := embedded.Start(t.Context(), embedded.Config{StoreDir: dir, SyncAlways: true})
	require.NoError(t, err, "the folder is free again")
	second.Shutdown()
}
