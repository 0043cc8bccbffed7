package room

import "slices"

// EventType is the type of an event of a room. It is the third token of a post-event's subject.
type EventType string

// The types of events.
const (
	EventCreate     EventType = "create"
	EventUpdate     EventType = "update"
	EventDelete     EventType = "delete"
	EventUserJoin   EventType = "userjoin"
	EventUserUpdate EventType = "userupdate"
	EventUserLeave  EventType = "userleave"
)

// EventTypes lists every type of event.
func EventTypes() []EventType {
	return []EventType{EventCreate, EventDelete, EventUserJoin, EventUserLeave, EventUpdate, EventUserUpdate}
}

// Interface is one of the interfaces that an app can implement.
type Interface string

// The interfaces. The first ten are those of Rocket.Chat's Apps-Engine.
const (
	PreRoomCreatePrevent Interface = "PreRoomCreatePrevent"
	PreRoomCreateExtend  Interface = "PreRoomCreateExtend"
	PreRoomCreateModify  Interface = "PreRoomCreateModify"
	PostRoomCreate       Interface = "PostRoomCreate"
	PreRoomDeletePrevent Interface = "PreRoomDeletePrevent"
	PostRoomDeleted      Interface = "PostRoomDeleted"
	PreRoomUserJoined    Interface = "PreRoomUserJoined"
	PostRoomUserJoined   Interface = "PostRoomUserJoined"
	PreRoomUserLeave     Interface = "PreRoomUserLeave"
	PostRoomUserLeave    Interface = "PostRoomUserLeave"

	PreRoomUpdatePrevent     Interface = "PreRoomUpdatePrevent"
	PostRoomUpdated          Interface = "PostRoomUpdated"
	PreRoomUserUpdatePrevent Interface = "PreRoomUserUpdatePrevent"
	PostRoomUserUpdated      Interface = "PostRoomUserUpdated"
)

type interfaceTraits struct {
	token   string // in subjects
	event   EventType
	pre     bool
	content Content // that an allowing verdict may have
	mayDeny bool
}

var traits = map[Interface]interfaceTraits{
	PreRoomCreatePrevent: {token: "createprevent", event: EventCreate, pre: true, mayDeny: true},
	PreRoomCreateExtend:  {token: "createextend", event: EventCreate, pre: true, content: ContentExtend},
	PreRoomCreateModify:  {token: "createmodify", event: EventCreate, pre: true, content: ContentModify},
	PostRoomCreate:       {token: "create", event: EventCreate},
	PreRoomDeletePrevent: {token: "deleteprevent", event: EventDelete, pre: true, mayDeny: true},
	PostRoomDeleted:      {token: "delete", event: EventDelete},
	PreRoomUserJoined:    {token: "userjoin", event: EventUserJoin, pre: true, mayDeny: true},
	PostRoomUserJoined:   {token: "userjoin", event: EventUserJoin},
	PreRoomUserLeave:     {token: "userleave", event: EventUserLeave, pre: true, mayDeny: true},
	PostRoomUserLeave:    {token: "userleave", event: EventUserLeave},

	PreRoomUpdatePrevent:     {token: "update", event: EventUpdate, pre: true, mayDeny: true},
	PostRoomUpdated:          {token: "update", event: EventUpdate},
	PreRoomUserUpdatePrevent: {token: "userupdate", event: EventUserUpdate, pre: true, mayDeny: true},
	PostRoomUserUpdated:      {token: "userupdate", event: EventUserUpdate},
}

// Interfaces lists the interfaces: first the ten of Rocket.Chat, in the order of a room's life, then
// ours.
func Interfaces() []Interface {
	return []Interface{
		PreRoomCreatePrevent, PreRoomCreateExtend, PreRoomCreateModify, PostRoomCreate,
		PreRoomDeletePrevent, PostRoomDeleted,
		PreRoomUserJoined, PostRoomUserJoined,
		PreRoomUserLeave, PostRoomUserLeave,
		PreRoomUpdatePrevent, PostRoomUpdated,
		PreRoomUserUpdatePrevent, PostRoomUserUpdated,
	}
}

// Known reports whether i is one of the interfaces.
func (i Interface) Known() bool { _, ok := traits[i]; return ok }

// Pre reports whether i is asked before a change. Otherwise it is told after the change.
func (i Interface) Pre() bool { return traits[i].pre }

// Token names i in a subject, as in room.pre.<token>.<app> or room.post.<token>.<room>.
func (i Interface) Token() string { return traits[i].token }

// Event is the type of event that i comes before or after.
func (i Interface) Event() EventType { return traits[i].event }

// Content is the content that an allowing verdict of i may have.
func (i Interface) Content() Content { return traits[i].content }

// MayDeny reports whether a verdict of i may be a denial.
func (i Interface) MayDeny() bool { return traits[i].mayDeny }

// Phases lists the pre-interfaces of an event in the order in which they are asked.
func (e EventType) Phases() []Interface {
	return slices.DeleteFunc(Interfaces(), func(i Interface) bool { return !i.Pre() || i.Event() != e })
}

// Command is the name of the command of such events.
func (e EventType) Command() string {
	switch e {
	case EventUserJoin:
		return "join"
	case EventUserLeave:
		return "leave"
	case EventUserUpdate:
		return "updatemember"
	}
	return string(e)
}

// DenialCode is the error code of an action that an app denied.
func (e EventType) DenialCode() Code {
	if e == EventUserJoin || e == EventUserLeave {
		return CodeUserNotAllowed
	}
	return CodePrevented
}
