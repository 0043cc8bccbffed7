package commands_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// The largest creation is committed however long the verdicts of optional apps are. Verdicts that
// do not fit are cut and counted, in the event, in the result and in the output of explain.
func TestVerdicts_CannotFailTheLargestCreation(t *testing.T) {
	t.Parallel()
	b := scene.Patient(t, roomsvc.Config{})
	said, err := json.Marshal(map[string]any{"verdict": "allow", "warnings": slicesOf(strings.Repeat("\u0001", room.MaxReasonBytes), room.MaxWarnings)})
	require.NoError(t, err)
	const apps = 20
	for n := range apps {
		id := "app-" + strconv.Itoa(n)
		b.Register(t, room.Manifest{ID: id, Implements: []room.Interface{room.PreRoomCreatePrevent}, TimeoutMs: new(room.MaxTimeoutMs)})
		b.Answer(t, room.PreRoomCreatePrevent, id, harness.Says(string(said)))
	}
	request := harness.NewRoom("r")
	for n := range 97 {
		request.Members = append(request.Members, room.User{ID: "u" + strconv.Itoa(n), Name: strings.Repeat("x", 10_000)})
	}
	r, err := b.Client.Create(t.Context(), request)
	require.NoError(t, err)
	assert.Len(t, r.Apps, apps)
	assert.NotEmpty(t, r.Warnings)
	assert.Equal(t, apps*room.MaxWarnings, len(r.Warnings)+r.Cut.Warnings)
	data := b.Decoded(t)[0].Data
	assert.Equal(t, r.Cut, data.Cut)
	out := harness.NewCLI(t, b.Server.URL()).OK("explain", r.Event.ID)
	assert.Contains(t, out, strconv.Itoa(r.Cut.Warnings)+" warnings were cut")
}

func slicesOf(text string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = text
	}
	return all
}
