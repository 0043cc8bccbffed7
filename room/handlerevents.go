package room

// The types below are the arguments of an app's handlers: the bodies of pre-events and post-events.

// Create is a room about to be created. Members lists the initial members.
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

// Update is a room about to be changed. Changed names the fields that differ, such as displayName or
// customFields.topic.
type Update struct {
	Before    Room     `json:"before"`
	After     Room     `json:"after"`
	Changed   []string `json:"changed"`
	UpdatedBy *User    `json:"updatedBy,omitempty"`
}

// UserUpdate is a member about to be changed. Changed names the fields that differ, such as roles or
// attributes.level.
type UserUpdate struct {
	Room       Room     `json:"room"`
	UserBefore User     `json:"userBefore"`
	UserAfter  User     `json:"userAfter"`
	Changed    []string `json:"changed"`
	UpdatedBy  *User    `json:"updatedBy,omitempty"`
}

// Created is a room that has been created.
type Created struct {
	Create
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}

// Deleted is a room that has been deleted, in its last state. Members are its members in the order of
// their ids. They are fewer than the room's MemberCount if they exceeded the size of the event.
type Deleted struct {
	Delete
	Members []User       `json:"members,omitempty"`
	Apps    []AppOutcome `json:"apps,omitempty"`
	Event   EventRef     `json:"-"`
}

// UserJoined is a user that has joined a room. Room is the room after the join.
type UserJoined struct {
	UserJoin
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}

// UserLeft is a user that has left a room. Room is the room after the leave.
type UserLeft struct {
	UserLeave
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}

// Updated is a room that has been changed.
type Updated struct {
	Update
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}

// UserUpdated is a member that has been changed. Room is the room after the change.
type UserUpdated struct {
	UserUpdate
	Apps  []AppOutcome `json:"apps,omitempty"`
	Event EventRef     `json:"-"`
}
