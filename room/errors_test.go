package room_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/room"
)

func TestCode_EveryCodeHasStatus(t *testing.T) {
	t.Parallel()
	for code, status := range map[room.Code]int{
		room.CodeInvalidRequest: 400, room.CodePrevented: 403, room.CodeUserNotAllowed: 403, room.CodeRoomNotFound: 404,
		room.CodeRoomExists: 409, room.CodeConflict: 409, room.CodeTooLarge: 413, room.CodeOverloaded: 429,
		room.CodeEssentialAppUnavailable: 503, room.CodeUnavailable: 503, room.CodeDeadlineExceeded: 504,
	} {
		assert.Equal(t, status, code.Status(), code)
	}
	assert.Equal(t, 500, room.Code("new").Status())
}
