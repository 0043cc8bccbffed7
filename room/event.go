package room

import "time"

// Data is the body of pre-events and post-events. Which fields stand in it depends on the
// event; apps read it as one of the types in handled.go.
type Data struct {
	Room Room `json:"room"`
	// Members are, of a creation, everyone the room starts with; of a post-event of a deletion,
	// the members it had, in the order of their ids: all, or as many as MaxFormerMembers and the
	// size of a message allow. The room's memberCount says how many there were.
	Members     []User       `json:"members,omitempty"`
	DeletedBy   *User        `json:"deletedBy,omitempty"`   // delete
	JoiningUser *User        `json:"joiningUser,omitempty"` // userjoin
	Inviter     *User        `json:"inviter,omitempty"`     // userjoin
	LeavingUser *User        `json:"leavingUser,omitempty"` // userleave
	RemovedBy   *User        `json:"removedBy,omitempty"`   // userleave
	Apps        []AppOutcome `json:"apps,omitempty"`        // post-events: what each app asked had said
	Warnings    []string     `json:"warnings,omitempty"`    // post-events: what allowing apps warned of
	Cut         Cut          `json:"cut,omitzero"`          // post-events: what there was no room for
}

// Event is a change that has been committed: a message of the stream, read.
type Event struct {
	ID   string // of the command
	Type EventType
	Room string
	Time time.Time // when it was decided; never before the room's previous event
	Seq  uint64    // in the stream
	// Expected is the sequence of the room's previous event that the guard of this one
	// named, 0 for a room's first.
	Expected uint64
	// Previous are the room's latest events before this one, of every type, those of a former
	// room of the same id included.
	Previous Latest
	Version  uint64
	Replica  string // of the room service that has committed it
	// Fingerprint is that of the request; empty in events of older versions.
	Fingerprint string
	CausedBy    []string // the ids of the commands that led to it, oldest first
	Data        Data
}

// Ref is how results and handlers refer to the event.
func (e Event) Ref() EventRef {
	return EventRef{ID: e.ID, Seq: e.Seq, Time: e.Time, Version: e.Version}
}

// EventRef identifies an event. The id is the key for idempotence.
type EventRef struct {
	ID      string    `json:"id"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Version uint64    `json:"version"`
}

// Result is the answer to a command that was possible. Changed is false if everything was
// already as the command asked; then there is no event and no app was asked.
type Result struct {
	Changed  bool         `json:"changed"`
	Room     Room         `json:"room"`
	Event    *EventRef    `json:"event,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	Apps     []AppOutcome `json:"apps,omitempty"`
	Cut      Cut          `json:"cut,omitzero"` // of warnings and apps
}

// Answers reports whether the event is what the request asked for. Of an event without a
// fingerprint that is the same change of the same room, for the same user.
func (e Event) Answers(r Request) bool {
	if e.Fingerprint != "" {
		return e.Fingerprint == Fingerprint(r)
	}
	if e.Type != r.Event() || e.Room != r.Target() {
		return false
	}
	was := e.Data.JoiningUser
	if was == nil {
		was = e.Data.LeavingUser
	}
	u := r.Subject()
	return u == nil || was != nil && was.ID == u.ID
}

// Result is the answer to the command that made the event, the same whenever it is asked.
func (e Event) Result() Result {
	ref := e.Ref()
	return Result{Changed: true, Room: e.Data.Room, Event: &ref, Warnings: e.Data.Warnings, Apps: e.Data.Apps, Cut: e.Data.Cut}
}
