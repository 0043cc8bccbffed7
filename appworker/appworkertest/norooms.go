package appworkertest

import (
	"context"
	"fmt"
	"testing"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// noRooms fails the test when a handler uses the room service, and returns the reason as the error.
type noRooms struct{ t testing.TB }

func (n noRooms) used(method string) error {
	err := fmt.Errorf("a handler calls appworker.Rooms(ctx).%s, and this test has no room service: give it one with WithRooms, such as appworkertest.NewRooms()", method)
	n.t.Error(err)
	return err
}

func (n noRooms) Get(context.Context, string) (room.Room, error) {
	return room.Room{}, n.used("Get")
}

func (n noRooms) Members(context.Context, room.MembersRequest) (room.MemberPage, error) {
	return room.MemberPage{}, n.used("Members")
}

func (n noRooms) Create(context.Context, room.CreateRequest, ...roomclient.Option) (room.Result, error) {
	return room.Result{}, n.used("Create")
}

func (n noRooms) Delete(context.Context, room.DeleteRequest, ...roomclient.Option) (room.Result, error) {
	return room.Result{}, n.used("Delete")
}

func (n noRooms) Join(context.Context, room.JoinRequest, ...roomclient.Option) (room.Result, error) {
	return room.Result{}, n.used("Join")
}

func (n noRooms) Leave(context.Context, room.LeaveRequest, ...roomclient.Option) (room.Result, error) {
	return room.Result{}, n.used("Leave")
}

func (n noRooms) Update(context.Context, room.UpdateRequest, ...roomclient.Option) (room.Result, error) {
	return room.Result{}, n.used("Update")
}

func (n noRooms) UpdateMember(context.Context, room.UpdateMemberRequest, ...roomclient.Option) (room.Result, error) {
	return room.Result{}, n.used("UpdateMember")
}
