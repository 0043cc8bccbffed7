package bus_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
)

func TestSettings_Or(t *testing.T) {
	t.Parallel()
	env := bus.Settings{URL: "nats://env", Context: "env", Creds: "env.creds"}
	assert.Equal(t, bus.Settings{URL: "nats://flag", Context: "env", Creds: "env.creds"}, bus.Settings{URL: "nats://flag"}.Or(env))
	assert.Equal(t, bus.Settings{Context: "flag", Creds: "env.creds"}, bus.Settings{Context: "flag"}.Or(env),
		"a context that is named goes before a server in the environment")
}

// A child process gets all settings.
func TestSettings_EnvRoundTrip(t *testing.T) {
	var all bus.Settings
	for field, value := range reflect.ValueOf(&all).Elem().Fields() {
		value.SetString("the " + field.Name)
	}
	for _, v := range all.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	assert.Equal(t, all, bus.SettingsFromEnv())
	assert.Equal(t, all, bus.Settings{}.Or(all))
}

// Settings read the environment variables and the contexts of the nats CLI.
func TestSettings_FromEnvAndContexts(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	for _, v := range []string{"NATS_URL", "NATS_CONTEXT", "NATS_CREDS"} {
		t.Setenv(v, "")
	}
	address := func() string {
		a, err := bus.SettingsFromEnv().Address()
		require.NoError(t, err)
		return a
	}
	assert.Equal(t, "nats://127.0.0.1:4222", address())

	contexts := filepath.Join(home, "nats", "context")
	require.NoError(t, os.MkdirAll(contexts, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(contexts, "far.json"), []byte(`{"url":"nats://far:4222"}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(home, "nats", "context.txt"), []byte("far"), 0o600))
	assert.Equal(t, "nats://127.0.0.1:4222", address(), "a selected context is not used")
	t.Setenv("NATS_URL", "nats://near:4222")
	assert.Equal(t, "nats://near:4222", address())
	t.Setenv("NATS_URL", "")
	t.Setenv("NATS_CONTEXT", "far")
	assert.Equal(t, "nats://far:4222", address())
	t.Setenv("NATS_CONTEXT", "none")
	_, err := bus.SettingsFromEnv().Connect(t.Context())
	require.ErrorContains(t, err, `context "none"`)

	_, err = bus.Settings{URL: "nats://127.0.0.1:1"}.Connect(t.Context())
	require.ErrorIs(t, err, bus.ErrUnreachable)
	require.ErrorContains(t, err, "127.0.0.1:1")
}

func TestSettings_ConnectionDoesNotBufferWhileDisconnected(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	nc, err := bus.Settings{URL: server.URL()}.Connect(t.Context(), nats.MaxReconnects(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	server.Shutdown()
	require.Eventually(t, nc.IsReconnecting, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, nc.Publish("p", nil), nats.ErrReconnectBufExceeded)
}
