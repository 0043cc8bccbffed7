package health_test

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomsvc/health"
)

// The log has one line when events go missing, and one when they are back.
func TestCheckEvents_LogsBeginAndEnd(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var r rooms
	cfg := config(t, harness.Connect(t, harness.NewServer(t)), &out)
	cfg.Rooms = func() health.Rooms { return &r }
	h := health.New(cfg)
	for _, step := range []struct {
		found rooms
		want  uint64
	}{
		{rooms{}, 0},
		{rooms{missing: 2}, 2},
		{rooms{unknown: true}, 2},
		{rooms{missing: 3}, 3},
		{rooms{}, 0},
	} {
		r = step.found
		h.CheckEvents(t.Context())
		assert.Equal(t, step.want, h.EventsMissing())
	}
	assert.Equal(t, []string{
		`ERROR msg="events of rooms missing from the stream" found="events of live rooms were purged, deleted, or removed by a limit" stream=ROOM_EVENTS missing=2 remedy="restore the stream from a backup"`,
		`INFO msg="no longer: events of rooms missing from the stream" was="events of live rooms were purged, deleted, or removed by a limit" still=""`,
	}, regexp.MustCompile(`(?:INFO|WARN|ERROR) .*`).FindAllString(out.String(), -1))
}

// A room with missing events has one line a minute.
func TestRoomBehind_LoggedOncePerRoom(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := health.New(config(t, harness.Connect(t, harness.NewServer(t)), &out))
	h.RoomBehind("r", 1, 2)
	h.RoomBehind("r", 1, 2)
	h.RoomBehind("s", 3, 4)
	assert.Equal(t, []string{
		`ERROR msg="events of a room missing from the stream" room=r has=1 seen=2 left_out=0`,
		`ERROR msg="events of a room missing from the stream" room=s has=3 seen=4 left_out=0`,
	}, regexp.MustCompile(`(?:INFO|WARN|ERROR) .*`).FindAllString(out.String(), -1))
}
