package subjects

import (
	"strconv"
	"time"
)

// The headers of requests and events. NATS headers are case-sensitive.
const (
	CommandID = "Nats-Msg-Id"     // on a command: its id
	TimeoutMs = "Room-Timeout-Ms" // milliseconds left to answer
	MinSeq    = "Room-Min-Seq"    // on a read: the sequence up to which the replica must have read the stream
	Seq       = "Room-Seq"        // on a reply: the highest sequence that the replica's state may contain
	CausedBy  = "Room-Caused-By"  // on commands, pre-events and events: the ids of the commands that led to it

	CommittedBy = "Room-Replica" // on a post-event: the room service that has committed it, a slash, and the fingerprint of the request

	ExpectedSeq        = "Nats-Expected-Last-Subject-Sequence"
	ExpectedSeqSubject = "Nats-Expected-Last-Subject-Sequence-Subject"
)

// CloudEvents 1.0, NATS binding, binary mode, and W3C Trace Context.
const (
	SpecVersion     = "ce-specversion"
	ID              = "ce-id"
	Type            = "ce-type"
	Source          = "ce-source"
	Subject         = "ce-subject"
	Time            = "ce-time"
	DataContentType = "ce-datacontenttype"
	RoomVersion     = "ce-roomversion"
	RoomPrevious    = "ce-roomprevious" // the room's latest events before, of every type: create=1,userjoin=5
	TraceParent     = "traceparent"
)

// TimeLeft is what the Room-Timeout-Ms header says, or the default where it says nothing that
// can be used.
func TimeLeft(h Headers, otherwise time.Duration) time.Duration {
	ms, err := strconv.ParseInt(first(h, TimeoutMs), 10, 32)
	if err != nil || ms <= 0 {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}
