package room_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

func TestListRequest_Validate(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]room.ListRequest{
		"": {Member: strings.Repeat("m", room.MaxUserIDBytes), SlugifiedNamePrefix: strings.Repeat("n", room.MaxRoomBytes), Type: room.LiveChat, Limit: room.MaxPage},
		"member is 129 bytes long; at most 128 are allowed":                                 {Member: strings.Repeat("m", 129)},
		"member has a control character (U+0000)":                                           {Member: "\x00"},
		"slugifiedNamePrefix is 65537 bytes long; at most 65536 are allowed":                {SlugifiedNamePrefix: strings.Repeat("n", room.MaxRoomBytes+1)},
		`type must be one of channel, private_group, direct_message, live_chat, not "club"`: {Type: "club"},
		"limit must be 1 to 1000, not 1001":                                                 {Limit: 1001},
	} {
		err := r.Validate()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, want)
		assert.ErrorContains(t, err, want)
	}
}
