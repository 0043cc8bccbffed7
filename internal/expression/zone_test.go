package expression_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// A zone that is known at compile time gives the same as one that is not.
func TestZone_LiteralIsSameAsComputed(t *testing.T) {
	t.Parallel()
	e := event(t, join)
	for _, at := range []time.Time{
		time.Date(2026, 3, 29, 0, 59, 58, 7_000_000, time.UTC), // the hour before summer time in Berlin
		time.Date(2026, 3, 29, 1, 0, 1, 0, time.UTC),
		time.Date(2027, 1, 1, 0, 30, 0, 0, time.UTC), // another year in New York
	} {
		e.Time = at
		for _, zone := range []string{"Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC", "+05:45", "-02:30"} {
			for _, get := range []string{
				"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfYear", "getDayOfWeek",
				"getHours", "getMinutes", "getSeconds", "getMilliseconds",
			} {
				source := `event.time.` + get + `("` + zone + `") == event.time.` + get + `(room.id == "" ? "" : "` + zone + `")`
				holds, err := compiled(t, room.PreRoomUserJoined, source).Holds(e)
				require.NoError(t, err, source)
				assert.True(t, holds, source)
			}
		}
	}
	e.Time = time.Date(2026, 3, 29, 1, 0, 1, 0, time.UTC)
	holds, err := compiled(t, room.PreRoomUserJoined, `event.time.getHours("Europe/Berlin") == 3`).Holds(e)
	require.NoError(t, err)
	assert.True(t, holds)
}

func TestZone_UnknownFails(t *testing.T) {
	t.Parallel()
	_, err := compiled(t, room.PreRoomUserJoined, `event.time.getHours("Europe/Atlantis") == 3`).Holds(event(t, join))
	assert.ErrorContains(t, err, "unknown time zone Europe/Atlantis")
}

// Reading the rules of a time zone takes 7 µs and is in the price. A zone that is known is cheap.
func TestZone_LiteralCostsNoReading(t *testing.T) {
	t.Parallel()
	e := crowded()
	_, err := compiled(t, room.PreRoomUserJoined, `room.customFields.ones.all(x, event.time.getHours("Europe/Berlin") < 24)`).Holds(e)
	require.NoError(t, err)
	_, err = compiled(t, room.PreRoomUserJoined, `room.customFields.ones.all(x, event.time.getHours(room.id == "" ? "" : "Europe/Berlin") < 24)`).Holds(e)
	assert.ErrorIs(t, err, expression.ErrTooCostly)
}
