package bus_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/bus"
)

func TestIsInbox(t *testing.T) {
	t.Parallel()
	for reply, is := range map[string]bool{
		"_INBOX.abc": true, "_INBOX_app.abc": true, "_R_.abc.def": true, "_MINE.x": true,
		"": false, "_INBOX.*.x": false, "_INBOX.>": false, "room.post.create.r": false, "INBOX.abc": false, "_R_": false, "_MINEX.y": false, "_MINE": false, "$JS.API.INFO": false,
	} {
		assert.Equal(t, is, bus.IsInbox(reply, "_MINE", ""), reply)
	}
}
