package room

// The types below are what an app's handlers see: the bodies of pre-events and post-events,
// each with the fields it has.

// Create is a room about to be created. Members lists everyone it would start with.
type Create struct {
	Room    Room   `json:"room"`
	Members []User `json:"members"`
}

// Delete is a room about to be deleted.
type Delete struct {
	Room      Room  `json:"room"`
	DeletedBy *User `json:"deletedBy,omitempty"`
}

// UserJoin is a user about to join a room.
type UserJoin struct {
	Room        Room  `json:"room"`
	JoiningUser User  `json:"joiningUser"`
	Inviter     *User `json:"inviter,omitempty"`
}

// UserLeave is a user about to leave a room.
type UserLeave struct {
	Room        Room  `json:"room"`
	LeavingUser User  `json:"leavingUser"`
	RemovedBy   *User `json:"removedBy,omitempty"`
}

// Created is a room that has been created, as it is now.
type Created struct {
	Create
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}

// Deleted is a room that has been deleted, as it was. Members are those it had, in the order of
// their ids; where they are fewer than the room's MemberCount, the event had no room for the rest.
type Deleted struct {
	Delete
	Members []User       `json:"members,omitempty"`
	Apps    []AppOutcome `json:"apps,omitempty"`
	Event   EventRef     `json:"-"`
}

// UserJoined is a user who has joined a room; the room is as it is now.
type UserJoined struct {
	UserJoin
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}

// UserLeft is a user who has left a room; the room is as it is now.
type UserLeft struct {
	UserLeave
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}
