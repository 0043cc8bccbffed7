package room_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
)

func TestCommandID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", room.MaxTokenBytes)
	for _, c := range []struct{ name, from, id string }{
		// printf 'c1\0welcome' | sha256sum | head -c 32
		{"welcome", "c1", "welcome-a3c64477476aea7d036314a4a515e99f"},
		{"", "c1", "a961e5bf87a714b0301651fdcb126297"},
		{"grüße an.alle", "c1", "gr____e_an_alle-6093602a6dedb369e46446adeab643e6"},
		{strings.Repeat("n", 31), long, strings.Repeat("n", 31) + "-307e26420b2cb363393991902641149c"},
		{strings.Repeat("n", 32), long, strings.Repeat("n", 31) + "-8171b1a0e793f4117498421204f1fa77"},
	} {
		assert.Equal(t, c.id, room.CommandID(c.name, c.from))
	}
}

func TestCommandID_DistinctTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name, from := rapid.StringN(0, 80, 80), rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
		a, b := name.Draw(t, "name"), name.Draw(t, "other name")
		x, y := from.Draw(t, "event"), from.Draw(t, "other event")
		require.True(t, room.IsToken(room.CommandID(a, x)), room.CommandID(a, x))
		require.Equal(t, a == b, room.CommandID(a, x) == room.CommandID(b, x))
		require.Equal(t, x == y, room.CommandID(a, x) == room.CommandID(a, y))
	})
}
