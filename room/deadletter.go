package room

// DeadLetter identifies a post-event that is no longer delivered to an app, with the reason. The message
// of the dead letter also has the event's headers and body.
type DeadLetter struct {
	App      string    `json:"app"`
	Event    EventType `json:"event"`
	Room     string    `json:"room"`
	ID       string    `json:"id,omitempty"` // of the event; absent if the message was not a valid event
	EventSeq uint64    `json:"eventSeq"`     // of the event, in its stream
	Error    string    `json:"error"`        // of the last attempt
	Attempts uint64    `json:"attempts"`
}
