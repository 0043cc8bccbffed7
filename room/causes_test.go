package room_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

func TestValidateCauses_Bounded(t *testing.T) {
	t.Parallel()
	var causes []string
	for n := range room.MaxCauses {
		causes = append(causes, "c"+strconv.Itoa(n))
	}
	require.NoError(t, room.ValidateCauses("c16", nil))
	require.NoError(t, room.ValidateCauses("c16", causes))
	err := room.ValidateCauses("c17", append(causes, "c16"))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
	require.EqualError(t, err, "invalid_request: command c17 has 17 causes, at most 16 are allowed: "+
		"the commands from c0 to c16 caused one another; an app reacts to its own events")
}
