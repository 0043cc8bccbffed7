package demo

import (
	"context"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// step is one step of the story: a command, or a change of the stage.
type step struct {
	says  string // the step's title
	do    func(context.Context, *roomclient.Client) (room.Result, error)
	notes int // number of events that the scribe records, if the command changes anything

	scene   func(*stage, context.Context) error // in place of do
	explain string                              // in place of do: the id of the command to explain
	tries   int                                 // of that command
}

var (
	ada     = room.User{ID: "ada", Name: "Ada"}
	ben     = room.User{ID: "ben", Name: "Ben"}
	cleo    = room.User{ID: "cleo", Name: "Cleo"}
	dora    = room.User{ID: "dora", Name: "Dora"}
	mallory = room.User{ID: "mallory", Name: "Mallory"}
)

// story returns the steps. Together, their commands reach all interfaces.
func story() []step {
	return []step{
		create("ada creates the channel harbor, with ben",
			room.CreateRequest{Room: room.NewRoom{ID: "harbor", SlugifiedName: "harbor", Type: room.Channel}, Creator: ada, Members: []room.User{ben}}),
		create("mallory creates the private group casino-royale",
			room.CreateRequest{Room: room.NewRoom{ID: "casino", SlugifiedName: "casino-royale", Type: room.PrivateGroup}, Creator: mallory}),
		join("cleo joins harbor, invited by ada", room.JoinRequest{RoomID: "harbor", User: cleo, Inviter: &ada}),
		join("mallory joins harbor", room.JoinRequest{RoomID: "harbor", User: mallory}),
		join("cleo joins harbor again", room.JoinRequest{RoomID: "harbor", User: cleo}),
		update("ada names harbor Old Harbor", room.UpdateRequest{RoomID: "harbor", Patch: room.Patch{"displayName": "Old Harbor"}, UpdatedBy: &ada}),
		update("cleo names harbor Casino Royale", room.UpdateRequest{RoomID: "harbor", Patch: room.Patch{"displayName": "Casino Royale"}, UpdatedBy: &cleo}),
		updateMember("ada makes cleo a moderator", room.UpdateMemberRequest{RoomID: "harbor", User: room.Patch{"id": "cleo", "roles": []string{"moderator"}}, UpdatedBy: &ada}),
		{says: "the only worker of guard, which is essential for joins, goes away", scene: (*stage).stopGuard},
		join("dora joins harbor", room.JoinRequest{RoomID: "harbor", User: dora}, roomclient.WithID("dora-joins")),
		{says: "guard is back", scene: (*stage).startGuard},
		join("dora tries again, with the same command id", room.JoinRequest{RoomID: "harbor", User: dora}, roomclient.WithID("dora-joins")),
		{explain: "dora-joins", tries: 2},
		leave("dora leaves harbor", room.LeaveRequest{RoomID: "harbor", User: dora}, 1),
		leave("ada leaves harbor", room.LeaveRequest{RoomID: "harbor", User: ada}, 1),
		leave("cleo leaves harbor, removed by ada", room.LeaveRequest{RoomID: "harbor", User: cleo, RemovedBy: &ada}, 1),
		leave("ben leaves harbor", room.LeaveRequest{RoomID: "harbor", User: ben}, 2), // the helpbot leaves too
		create("ada creates the default room lobby",
			room.CreateRequest{Room: room.NewRoom{ID: "lobby", SlugifiedName: "lobby", Type: room.Channel, IsDefault: true}, Creator: ada}),
		remove("ada deletes lobby", room.DeleteRequest{RoomID: "lobby", DeletedBy: &ada}),
		remove("ada deletes harbor", room.DeleteRequest{RoomID: "harbor", DeletedBy: &ada}),
	}
}

func create(says string, r room.CreateRequest) step {
	return step{says: says, notes: 1, do: func(ctx context.Context, c *roomclient.Client) (room.Result, error) { return c.Create(ctx, r) }}
}

func update(says string, r room.UpdateRequest) step {
	return step{says: says, notes: 1, do: func(ctx context.Context, c *roomclient.Client) (room.Result, error) { return c.Update(ctx, r) }}
}

func updateMember(says string, r room.UpdateMemberRequest) step {
	return step{says: says, notes: 1, do: func(ctx context.Context, c *roomclient.Client) (room.Result, error) { return c.UpdateMember(ctx, r) }}
}

func remove(says string, r room.DeleteRequest) step {
	return step{says: says, notes: 1, do: func(ctx context.Context, c *roomclient.Client) (room.Result, error) { return c.Delete(ctx, r) }}
}

func join(says string, r room.JoinRequest, opts ...roomclient.Option) step {
	return step{says: says, notes: 1, do: func(ctx context.Context, c *roomclient.Client) (room.Result, error) {
		return c.Join(ctx, r, opts...)
	}}
}

func leave(says string, r room.LeaveRequest, notes int) step {
	return step{says: says, notes: notes, do: func(ctx context.Context, c *roomclient.Client) (room.Result, error) { return c.Leave(ctx, r) }}
}
