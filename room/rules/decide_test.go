package rules_test

import (
	"encoding/json"
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

// The record of a member in a request is only a claim: the change has the stored member.
func TestDecide_MembersAreTheStoredOnes(t *testing.T) {
	t.Parallel()
	patch := func(text string) (p room.Patch) {
		require.NoError(t, json.Unmarshal([]byte(text), &p))
		return p
	}
	claimed := &room.User{ID: bob.ID, Name: "Root", Roles: []string{"admin"}}
	stored := bob
	for name, c := range map[string]struct {
		request room.Request
		has     func(room.Data) *room.User
	}{
		"deletedBy":             {room.DeleteRequest{RoomID: "r1", DeletedBy: claimed}, func(d room.Data) *room.User { return d.DeletedBy }},
		"inviter":               {room.JoinRequest{RoomID: "r1", User: alice, Inviter: claimed}, func(d room.Data) *room.User { return d.Inviter }},
		"leavingUser":           {room.LeaveRequest{RoomID: "r1", User: *claimed}, func(d room.Data) *room.User { return d.LeavingUser }},
		"removedBy":             {room.LeaveRequest{RoomID: "r1", User: *claimed, RemovedBy: claimed}, func(d room.Data) *room.User { return d.RemovedBy }},
		"updatedBy of a room":   {room.UpdateRequest{RoomID: "r1", Patch: patch(`{"description":"x"}`), UpdatedBy: claimed}, func(d room.Data) *room.User { return d.UpdatedBy }},
		"updatedBy of a member": {room.UpdateMemberRequest{RoomID: "r1", User: patch(`{"id":"bob","name":"Bob"}`), UpdatedBy: claimed}, func(d room.Data) *room.User { return d.UpdatedBy }},
		"userBefore":            {room.UpdateMemberRequest{RoomID: "r1", User: patch(`{"id":"bob","name":"Bob"}`)}, func(d room.Data) *room.User { return d.UserBefore }},
	} {
		v := rules.View{Exists: true, Room: full, Actor: &stored, Subject: &stored}
		if c.request.Event() == room.EventUserJoin {
			v.Subject = nil // not a member yet
		}
		d, err := rules.Decide(v, rules.Command{Request: c.request})
		require.NoError(t, err, name)
		assert.Equal(t, &stored, c.has(d.Data), name)
	}
}
