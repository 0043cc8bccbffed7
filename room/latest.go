package room

// Latest is, for each type of event, the sequence of a room's latest one, 0 if there is none.
// An app that gets some types of events and not others tells from it which event of the room
// came before the one it has.
type Latest struct{ Create, Delete, UserJoin, UserLeave uint64 }

// Of is the sequence of the latest event of that type.
func (l Latest) Of(e EventType) uint64 {
	if seq := l.field(e); seq != nil {
		return *seq
	}
	return 0
}

// Set takes note of an event. A type that does not exist is passed over.
func (l *Latest) Set(e EventType, seq uint64) {
	if field := l.field(e); field != nil {
		*field = seq
	}
}

func (l *Latest) field(e EventType) *uint64 {
	switch e {
	case EventCreate:
		return &l.Create
	case EventDelete:
		return &l.Delete
	case EventUserJoin:
		return &l.UserJoin
	case EventUserLeave:
		return &l.UserLeave
	}
	return nil
}
