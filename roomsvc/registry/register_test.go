package registry

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

func TestForgetOldest_RegistrationFitsIntoMessage(t *testing.T) {
	t.Parallel()
	r := room.Registration{Manifest: room.Manifest{ID: "a", Version: "3.0.0"}, Remembered: []room.Manifest{
		{ID: "a", Version: "2.0.0"}, {ID: "a", Version: "1.0.0"},
	}}
	size := func(r room.Registration) int {
		data, err := json.Marshal(r)
		require.NoError(t, err)
		return len(data)
	}
	assert.Equal(t, []string{"2.0.0", "1.0.0"}, forgetOldest(r, size(r)).Versions())
	assert.Equal(t, []string{"2.0.0"}, forgetOldest(r, size(r)-1).Versions())
	assert.Empty(t, forgetOldest(r, 1).Versions())
	assert.Equal(t, []string{"2.0.0", "1.0.0"}, r.Versions())
}
