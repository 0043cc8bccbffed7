package roomsvc

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// A page is encoded as encoding/json encodes a room.Page.
func TestEncodePage_EqualsPage(t *testing.T) {
	t.Parallel()
	small := room.Room{ID: "a", SlugifiedName: "<a&b>\u2028", Type: room.Channel, CustomFields: map[string]any{"n": json.Number("1.0")}}
	large := room.Room{ID: "b", Description: strings.Repeat("x", pageBytes)}
	for name, c := range map[string]struct {
		rooms []room.Room
		fit   int
		next  string
	}{
		"empty":                         {[]room.Room{}, 0, ""},
		"empty, more to examine":        {[]room.Room{}, 0, "c"},
		"last page":                     {[]room.Room{small, small}, 2, ""},
		"more":                          {[]room.Room{small, small}, 2, `a:<"é`},
		"the first is larger":           {[]room.Room{large, small}, 1, ""},
		"the second does not fit":       {[]room.Room{small, large, small}, 1, ""},
		"the second does not fit, last": {[]room.Room{small, large}, 1, "c"},
	} {
		got, err := encodePage("rooms", c.rooms, func(n int) string {
			assert.Equal(t, c.fit, n, name)
			if n < len(c.rooms) {
				return "cut"
			}
			return c.next
		})
		require.NoError(t, err)
		want := room.Page{Rooms: c.rooms[:c.fit], Cursor: c.next}
		if c.fit < len(c.rooms) {
			want.Cursor = "cut"
		}
		page, err := json.Marshal(want)
		require.NoError(t, err)
		assert.Equal(t, string(page), string(got), name)
	}
}

// BenchmarkEncodePage encodes a page of a hundred rooms.
func BenchmarkEncodePage(b *testing.B) {
	rooms := make([]room.Room, room.DefaultPage)
	for n := range rooms {
		id := growthRoom(n)
		rooms[n] = room.Room{
			ID: id, SlugifiedName: id, DisplayName: "Room " + id, Type: room.Channel, Creator: growthUser(n),
			Description: "What is talked about in " + id, MemberCount: 5, Version: 3,
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := encodePage("rooms", rooms, func(int) string { return "" })
		require.NoError(b, err)
	}
}
