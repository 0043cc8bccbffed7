package room

// DeadLetter says why a post-event is not delivered to an app any more, and which one it is.
// The event's own headers and body are kept beside it.
type DeadLetter struct {
	App      string    `json:"app"`
	Event    EventType `json:"event"`
	Room     string    `json:"room"`
	ID       string    `json:"id,omitempty"` // of the event; absent if the message was none
	EventSeq uint64    `json:"eventSeq"`     // of the event, in its stream
	Error    string    `json:"error"`        // what the last attempt ended with
	Attempts uint64    `json:"attempts"`
}
