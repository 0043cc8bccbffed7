package subjects

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roombus/roombus/room"
)

// Headers are the headers of a NATS message.
type Headers = map[string][]string

// CloudEvents returns the headers of an event in binary mode.
func CloudEvents(eventType, id, roomID, traceParent string, at time.Time) Headers {
	return Headers{
		SpecVersion:     {"1.0"},
		ID:              {id},
		Type:            {eventType},
		Source:          {"roombus"},
		Subject:         {roomID},
		Time:            {at.Format(time.RFC3339Nano)},
		DataContentType: {"application/json"},
		TraceParent:     {traceParent},
	}
}

// PreHeaders returns a function that makes the headers of a pre-event for each app, with the time left for
// its reply. Apps with the same number of milliseconds left share a map, so callers must not change the
// result. The function is not safe for concurrent use.
func PreHeaders(i room.Interface, id, roomID, traceParent string, causes []string, at time.Time) func(left time.Duration) Headers {
	var h Headers
	var lastMs int64
	return func(left time.Duration) Headers {
		if ms := max(1, left.Milliseconds()); h == nil || ms != lastMs {
			h = CloudEvents(PreType(i), id, roomID, traceParent, at)
			h[TimeoutMs] = []string{strconv.FormatInt(ms, 10)}
			SetCauses(h, causes)
			lastMs = ms
		}
		return h
	}
}

// EncodePost encodes a post-event as a message. The publisher adds the headers of the guard and the
// message id.
func EncodePost(e room.Event, traceParent string) (subject string, h Headers, data []byte, err error) {
	data, err = e.Data.JSON()
	if err != nil {
		return "", nil, nil, fmt.Errorf("encoding event %s: %w", e.ID, err)
	}
	h = CloudEvents(PostType(e.Type), e.ID, e.Room, traceParent, e.Time)
	h[RoomVersion] = []string{strconv.FormatUint(e.Version, 10)}
	h[RoomPrevious] = []string{encodeLatest(e.Previous, false)}
	if e.Previous.Update > 0 || e.Previous.UserUpdate > 0 {
		h[RoomPreviousUpdates] = []string{encodeLatest(e.Previous, true)}
	}
	if e.Replica != "" || e.Fingerprint != "" {
		h[CommittedBy] = []string{e.Replica + committedWith + e.Fingerprint}
	}
	SetCauses(h, e.CausedBy)
	return Post(e.Type, e.Room), h, data, nil
}

// committedWith separates the replica and the fingerprint in the CommittedBy header. They share a header,
// because one more header would double the size of every header map.
const committedWith = "/"

// Committer returns the replica of the room service that committed an event with these headers, or "" if
// it is unknown.
func Committer(h Headers) string {
	replica, _, _ := strings.Cut(first(h, CommittedBy), committedWith)
	return replica
}

// EncodeRejection encodes a rejection as a message.
func EncodeRejection(r room.Rejection, traceParent string) (subject string, h Headers, data []byte, err error) {
	data, err = json.Marshal(&r)
	if err != nil {
		return "", nil, nil, fmt.Errorf("encoding the rejection of %s: %w", r.ID, err)
	}
	return Rejected(r.Command, r.Room), CloudEvents(RejectedType(r.Command), r.ID, r.Room, traceParent, r.Time), data, nil
}

// DecodeRejection decodes a message of the stream of rejections. It returns an error if the message is
// not a rejection.
func DecodeRejection(subject string, h Headers, data []byte) (room.Rejection, error) {
	var r room.Rejection
	if err := room.DecodeLenient(data, &r); err != nil {
		return r, err
	}
	if subject != Rejected(r.Command, r.Room) {
		return r, fmt.Errorf("%s is not the subject of the rejection of a %s of room %q", subject, r.Command, r.Room)
	}
	if id := first(h, ID); id != r.ID {
		return r, fmt.Errorf("header %s is %q, not the command's id", ID, id)
	}
	return r, room.ValidateToken("id", r.ID)
}

// DecodePost decodes a message of the stream of events. It returns an error if the message is not a
// post-event.
func DecodePost(subject string, h Headers, data []byte, seq uint64) (room.Event, error) {
	e, err := DecodePostHeaders(subject, h, seq)
	if err != nil {
		return e, err
	}
	return e, room.DecodeLenient(data, &e.Data)
}

// DecodePostHeaders is DecodePost without the body.
func DecodePostHeaders(subject string, h Headers, seq uint64) (room.Event, error) {
	e := room.Event{Seq: seq, ID: first(h, ID)}
	e.Replica, e.Fingerprint, _ = strings.Cut(first(h, CommittedBy), committedWith)
	var ok bool
	if e.Type, e.Room, ok = ParsePost(subject); !ok {
		return e, fmt.Errorf("%s is not the subject of a post-event", subject)
	}
	if typ := first(h, Type); typ != PostType(e.Type) {
		return e, fmt.Errorf("header %s is %q, not the subject's", Type, typ)
	}
	if id := first(h, Subject); id != e.Room {
		return e, fmt.Errorf("header %s is %q, not the room", Subject, id)
	}
	err := room.ValidateToken(CommittedBy, e.Replica) // every event of a room service names it
	if err != nil {
		return e, err
	}
	if e.Expected, err = number(h, ExpectedSeq); err != nil {
		return e, err
	}
	if filter := first(h, ExpectedSeqSubject); filter != PostsOf(e.Room) {
		return e, fmt.Errorf("header %s is %q, not the room's filter", ExpectedSeqSubject, filter)
	}
	if e.Version, err = number(h, RoomVersion); err != nil {
		return e, err
	}
	for _, key := range []string{RoomPrevious, RoomPreviousUpdates} {
		if err := decodeLatest(first(h, key), &e.Previous); err != nil {
			return e, fmt.Errorf("header %s: %w", key, err)
		}
	}
	if e.CausedBy, err = Causes(h); err != nil {
		return e, err
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, first(h, Time)); err != nil {
		return e, fmt.Errorf("header %s: %w", Time, err)
	}
	return e, room.ValidateToken(ID, e.ID)
}

func isUpdate(e room.EventType) bool { return e == room.EventUpdate || e == room.EventUserUpdate }

// encodeLatest encodes the types of events that are, or are not, updates.
func encodeLatest(l room.Latest, updates bool) string {
	var b []byte
	for _, e := range room.EventTypes() {
		if seq := l.Of(e); seq > 0 && isUpdate(e) == updates {
			if len(b) > 0 {
				b = append(b, ',')
			}
			b = append(append(b, e...), '=')
			b = strconv.AppendUint(b, seq, 10)
		}
	}
	return string(b)
}

// decodeLatest reads the output of encodeLatest into l. It ignores a type that a later version has.
func decodeLatest(s string, l *room.Latest) error {
	if s == "" {
		return nil
	}
	for part := range strings.SplitSeq(s, ",") {
		name, number, _ := strings.Cut(part, "=")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil || name == "" {
			return fmt.Errorf("%q does not name a type of event and a sequence", part)
		}
		l.Set(room.EventType(name), seq)
	}
	return nil
}

func first(h Headers, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func number(h Headers, key string) (uint64, error) {
	n, err := strconv.ParseUint(first(h, key), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("header %s is %q, not a number", key, first(h, key))
	}
	return n, nil
}
