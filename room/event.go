package room

import "time"

// MaxFormerMembers bounds the members in the post-event of a deletion.
const MaxFormerMembers = 5000

// Data is the body of pre-events and post-events. The event determines the fields that are set. Apps
// decode it as one of the types in handlerevents.go.
type Data struct {
	Room Room `json:"room"`
	// Members are the initial members of a creation. In the post-event of a deletion they are the
	// former members, in the order of their ids, as many as MaxFormerMembers and the size of a
	// message allow. The room's memberCount has their total number.
	Members     []User `json:"members,omitempty"`
	DeletedBy   *User  `json:"deletedBy,omitempty"`   // delete
	JoiningUser *User  `json:"joiningUser,omitempty"` // userjoin
	Inviter     *User  `json:"inviter,omitempty"`     // userjoin
	LeavingUser *User  `json:"leavingUser,omitempty"` // userleave
	RemovedBy   *User  `json:"removedBy,omitempty"`   // userleave
	// An update has the room before and after it, an update of a member has the user before and after
	// it. Changed names the fields that differ, as in the outcomes of apps.
	Before     *Room        `json:"before,omitempty"`
	After      *Room        `json:"after,omitempty"`
	UserBefore *User        `json:"userBefore,omitempty"`
	UserAfter  *User        `json:"userAfter,omitempty"`
	Changed    []string     `json:"changed,omitempty"`
	UpdatedBy  *User        `json:"updatedBy,omitempty"`
	Apps       []AppOutcome `json:"apps,omitempty"`     // post-events: the outcomes of all apps asked
	Warnings   []string     `json:"warnings,omitempty"` // post-events: the warnings of allowing apps
	Cut        Cut          `json:"cut,omitzero"`       // post-events: what was cut from apps and warnings
}

// Event is a committed change: a decoded message of the stream of events.
type Event struct {
	ID   string // of the command
	Type EventType
	Room string
	Time time.Time // when it was decided; never before the room's previous event
	Seq  uint64    // in the stream
	// Expected is the sequence in the event's guard: that of the room's previous event, 0 for the
	// first event.
	Expected uint64
	// Previous has the room's latest event of each type before this one. It includes events of a former
	// room of the same id.
	Previous Latest
	Version  uint64
	Replica  string // the room service replica that committed it
	// Fingerprint is the fingerprint of the request; empty in events of older versions.
	Fingerprint string
	CausedBy    []string // the ids of the commands that led to it, oldest first
	Data        Data
}

// Ref returns the reference to the event in results and for handlers.
func (e Event) Ref() EventRef {
	return EventRef{ID: e.ID, Seq: e.Seq, Time: e.Time, Version: e.Version}
}

// EventRef identifies an event. The id is the idempotency key.
type EventRef struct {
	ID      string    `json:"id"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Version uint64    `json:"version"`
}

// Result is the result of a command. Changed is false if the command changed nothing; then there is no
// event and no app was asked.
type Result struct {
	Changed  bool         `json:"changed"`
	Room     Room         `json:"room"`
	Event    *EventRef    `json:"event,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	Apps     []AppOutcome `json:"apps,omitempty"`
	Cut      Cut          `json:"cut,omitzero"` // of warnings and apps
}

// Result returns the result of the event's command. It is the same each time the command is sent.
func (e Event) Result() Result {
	ref := e.Ref()
	return Result{Changed: true, Room: e.Data.Room, Event: &ref, Warnings: e.Data.Warnings, Apps: e.Data.Apps, Cut: e.Data.Cut}
}
