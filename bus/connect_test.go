package bus_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

// An error names the servers, but no user, password or token.
func TestConnect_ErrorHasNoSecrets(t *testing.T) {
	t.Parallel()
	_, err := bus.Settings{URL: "nats://ada:secret@127.0.0.1:1,nats://token@127.0.0.1:2,nats://127.0.0.1:3"}.Connect(t.Context())
	require.ErrorIs(t, err, bus.ErrUnreachable)
	assert.Contains(t, err.Error(), "nats://xxxxx@127.0.0.1:1,nats://xxxxx@127.0.0.1:2,nats://127.0.0.1:3")
	for _, secret := range []string{"ada", "secret", "token"} {
		assert.NotContains(t, err.Error(), secret)
	}
}
