package expression_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// FuzzManifest: an accepted manifest keeps the documented bounds, does not change when it is encoded and
// decoded, and its conditions still compile.
func FuzzManifest(f *testing.F) {
	for _, file := range []string{"manifest", "registration", "app"} {
		document, err := os.ReadFile("../../room/testdata/" + file + ".json")
		require.NoError(f, err)
		f.Add(document)
	}
	f.Add([]byte(`{"id":"a","version":"0.0.0","implements":["PreRoomCreateExtend"],"when":{"PreRoomCreateExtend":"size(event.members) > 1"},"timeoutMs":60000,"order":-1}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		var m room.Manifest
		if room.Decode(document, &m) != nil || m.Validate() != nil {
			return
		}
		require.True(t, room.IsToken(m.ID))
		require.LessOrEqual(t, len(m.Description), room.MaxDescription)
		require.Positive(t, m.Timeout())
		require.LessOrEqual(t, m.Timeout().Milliseconds(), int64(room.MaxTimeoutMs))
		conditions, refusal := expression.CompileAll(m)

		kept, err := json.Marshal(room.Registration{Manifest: m.WithDefaults()})
		require.NoError(t, err)
		var again room.Registration
		require.NoError(t, room.DecodeLenient(kept, &again))
		require.NoError(t, again.Validate())
		require.Empty(t, m.Differences(again.Manifest))
		same, refusedAgain := expression.CompileAll(again.Manifest)
		require.Equal(t, refusal == nil, refusedAgain == nil)
		require.Len(t, same, len(conditions))
	})
}
