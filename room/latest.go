package room

// Latest has the sequence of a room's latest event of each type, 0 if there is none. A consumer that
// receives only some types of events finds the previous event of the room with it.
type Latest struct{ Create, Delete, UserJoin, UserLeave, Update, UserUpdate uint64 }

// Of returns the sequence of the latest event of that type.
func (l Latest) Of(e EventType) uint64 {
	if seq := l.field(e); seq != nil {
		return *seq
	}
	return 0
}

// Set records an event. It ignores an unknown type.
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
	case EventUpdate:
		return &l.Update
	case EventUserUpdate:
		return &l.UserUpdate
	}
	return nil
}
