package rules_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

func TestDecide_CreateFillsInDefaults(t *testing.T) {
	t.Parallel()
	d := creation(t, bob, alice, bob)
	assert.Equal(t, []room.User{alice, bob}, d.Data.Members, "the creator is a member, without duplicates")
	assert.True(t, d.Data.Room.DisplaySystemMessages)
	final := d.Final()
	assert.Equal(t, uint64(1), final.Room.Version)
	assert.Equal(t, 2, final.Room.MemberCount)
}

// An event may have exactly the size of its bound.
func TestDecide_ChecksEventSize(t *testing.T) {
	t.Parallel()
	r := room.DeleteRequest{RoomID: "r1", DeletedBy: &room.User{ID: "u", Name: strings.Repeat("<é\u2028", 5000), Attributes: map[string]any{"b": 1, "a": []any{}}}}
	v := rules.View{Exists: true, Room: full}
	d, err := rules.Decide(v, rules.Command{Request: r})
	require.NoError(t, err)
	size := len(rewritten(t, d.Data))
	_, err = rules.Decide(v, rules.Command{Request: r, Bounds: rules.Bounds{MaxBytes: size}})
	require.NoError(t, err)
	_, err = rules.Decide(v, rules.Command{Request: r, Bounds: rules.Bounds{MaxBytes: size - 1}})
	require.ErrorIs(t, err, &room.Error{Code: room.CodeTooLarge})
}
