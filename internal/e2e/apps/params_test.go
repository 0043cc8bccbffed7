package apps_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// A document that is put or removed at one replica is known at every replica once that is
// acknowledged. The largest document that the service accepts fits into every message. A larger one is
// refused with the bound, by the service or by the client.
func TestParams_InForceAtEveryReplica(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	assert.Equal(t, "[]", string(b.Request(t, "room.param.list", "").Data), "no documents are an empty list")
	put := func(size int) (room.Param, error) {
		document := `"` + strings.Repeat("x", size-2) + `"`
		return b.Client.PutParam(t.Context(), room.ParamPut{Name: "bans", Document: json.RawMessage(document)})
	}
	const largest = 1<<20 - 64<<10
	for _, size := range []int{20, largest} {
		stored, err := put(size)
		require.NoError(t, err)
		for range 8 { // the two answer in turn
			found, err := b.Client.Param(t.Context(), "bans")
			require.NoError(t, err)
			require.Equal(t, stored.Revision, found.Revision)
			require.Len(t, found.Document, size)
			all, err := b.Client.Params(t.Context())
			require.NoError(t, err)
			require.Equal(t, []room.Param{stored}, all)
		}
	}
	_, err := put(largest + 1)
	assert.Equal(t, &room.Error{Code: room.CodeTooLarge, Message: "document has 983041 bytes; at most 983040 are allowed"}, scene.ErrorOf(t, err))
	_, err = put(room.MaxParamBytes)
	assert.Equal(t, room.CodeTooLarge, scene.ErrorOf(t, err).Code)
	assert.ErrorContains(t, err, "the server takes at most 1048576")

	apps, err := b.Client.Apps(t.Context())
	require.NoError(t, err)
	assert.Empty(t, apps)
	_, err = b.Client.RemoveParam(t.Context(), "bans")
	require.NoError(t, err)
	for range 8 {
		_, err = b.Client.Param(t.Context(), "bans")
		require.Equal(t, room.CodeParamNotFound, scene.ErrorOf(t, err).Code)
	}
}
