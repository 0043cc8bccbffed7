package subjects

import (
	"strconv"
	"time"

	"github.com/roombus/roombus/room"
)

// The headers of requests and events. NATS headers are case-sensitive.
const (
	CommandID = "Nats-Msg-Id"     // on a command: its id
	TimeoutMs = "Room-Timeout-Ms" // milliseconds left for the reply
	Deadline  = "Room-Deadline"   // on a request: the time after which it must not be executed, RFC 3339
	Clock     = "Room-Clock"      // on a reply of code deadline_exceeded: the time by the clock of the room service
	MinSeq    = "Room-Min-Seq"    // on a read: the sequence up to which the replica must have read the stream
	Seq       = "Room-Seq"        // on a reply: the highest sequence that the replica's state may contain
	CausedBy  = "Room-Caused-By"  // on commands, pre-events and events: the ids of the commands that caused it

	CommittedBy = "Room-Replica" // on a post-event: the replica that committed it, a slash, and the fingerprint of the request

	ExpectedSeq        = "Nats-Expected-Last-Subject-Sequence"
	ExpectedSeqSubject = "Nats-Expected-Last-Subject-Sequence-Subject"
)

// DedupeFor is the minimum time for which the service and the stream ROOM_EVENTS remember the id of
// a command.
const DedupeFor = 2 * time.Minute

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
	RoomPrevious    = "ce-roomprevious" // the room's latest earlier event of each type: create=1,userjoin=5
	// RoomPreviousUpdates has the latest earlier updates of the room and of its members, if there are
	// any: update=7,userupdate=9. Workers of earlier versions refuse these types in RoomPrevious.
	RoomPreviousUpdates = "ce-roompreviousupdates"
	TraceParent         = "traceparent"
)

// TimeLeft returns the time in the Room-Timeout-Ms header, or otherwise if the header is absent or not a
// positive number.
func TimeLeft(h Headers, otherwise time.Duration) time.Duration {
	ms, err := strconv.ParseInt(first(h, TimeoutMs), 10, 32)
	if err != nil || ms <= 0 {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}

// SetTime sets a header to a time.
func SetTime(h Headers, name string, t time.Time) {
	h[name] = []string{t.UTC().Format(time.RFC3339Nano)}
}

// GetTime returns the time in a header, or the zero time if the header is absent. The error is of
// code invalid_request if the header is not a time.
func GetTime(h Headers, name string) (time.Time, error) {
	if len(h[name]) == 0 {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, h[name][0])
	if err != nil {
		return time.Time{}, room.Errorf(room.CodeInvalidRequest, "header %s must be a time such as 2006-01-02T15:04:05.999Z, not %.80q", name, h[name][0])
	}
	return t, nil
}
