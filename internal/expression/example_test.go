package expression_test

import (
	"fmt"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

func Example() {
	c, err := expression.Compile(room.PreRoomUserJoined, `room.type == "private_group" && !("admin" in actor.roles)`)
	if err != nil {
		fmt.Println(err)
		return
	}
	holds, err := c.Holds(expression.Event{Data: &room.Data{
		Room:        room.Room{ID: "r1", Type: room.PrivateGroup},
		JoiningUser: &room.User{ID: "erin", Roles: []string{"user"}},
	}})
	fmt.Println(holds, err)

	_, err = expression.Compile(room.PreRoomUserJoined, `room.typ == "private_group"`)
	fmt.Println(err)
	// Output:
	// true <nil>
	// invalid_request: when: PreRoomUserJoined: 1:5: undefined field 'typ'
}
