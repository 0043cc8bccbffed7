package subjects

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roombus/roombus/room"
)

// The headers of a dead letter, in addition to those of its event. The event's headers with a meaning
// for JetStream get a prefix.
const (
	DeadApp      = "Room-App"
	DeadError    = "Room-Error"
	DeadAttempts = "Room-Attempts"
	EventSubject = "Room-Event-Subject"
	EventSeq     = "Room-Event-Seq"

	jetStreamPrefix = "Nats-"
	originPrefix    = "Room-Event-"
)

// maxError bounds the error text in a dead letter, in characters.
const maxError = 1024

// Delivered is a message of the stream of events, delivered to an app from there or as a replay.
type Delivered struct {
	Subject string
	Headers Headers
	Data    []byte
	Seq     uint64 // in the stream of events
}

// Origin returns the original message in the stream of events of a dead letter or a replay.
func Origin(h Headers, data []byte) (Delivered, error) {
	o := Delivered{Subject: first(h, EventSubject), Headers: make(Headers, len(h)), Data: data}
	var err error
	if o.Seq, err = number(h, EventSeq); err != nil {
		return o, err
	}
	for key, values := range h {
		switch name := strings.TrimPrefix(key, originPrefix); {
		case strings.HasPrefix(name, jetStreamPrefix) && name != key:
			o.Headers[name] = values
		case !strings.HasPrefix(key, jetStreamPrefix) && !isOfDeadLetter(key):
			o.Headers[key] = values
		}
	}
	return o, nil
}

// isOfDeadLetter reports whether a header belongs to the dead letter and not to its event.
func isOfDeadLetter(key string) bool {
	switch key {
	case DeadApp, DeadError, DeadAttempts, EventSubject, EventSeq:
		return true
	}
	return false
}

// EncodeDead encodes a dead letter as a message.
func EncodeDead(app string, of Delivered, reason error, attempts uint64) (subject string, h Headers) {
	h = Headers{
		DeadApp:      {app},
		DeadError:    {fmt.Sprintf("%.*s", maxError, strings.ToValidUTF8(reason.Error(), "?"))},
		DeadAttempts: {strconv.FormatUint(attempts, 10)},
		EventSubject: {of.Subject},
		EventSeq:     {strconv.FormatUint(of.Seq, 10)},
	}
	for key, values := range of.Headers {
		if strings.HasPrefix(key, jetStreamPrefix) {
			key = originPrefix + key
		}
		h[key] = values
	}
	event, roomID := tail(of.Subject)
	return Dead(app, event, roomID), h
}

// DecodeDead decodes a message of the stream of dead letters. It returns an error if the message is not
// a dead letter.
func DecodeDead(subject string, h Headers) (room.DeadLetter, error) {
	d := room.DeadLetter{App: first(h, DeadApp), Error: first(h, DeadError), ID: first(h, ID)}
	d.Event, d.Room = tail(first(h, EventSubject))
	if subject != Dead(d.App, d.Event, d.Room) {
		return d, fmt.Errorf("%s is not the subject of a dead letter of app %q and event %q of room %q", subject, d.App, d.Event, d.Room)
	}
	var err error
	if d.EventSeq, err = number(h, EventSeq); err != nil {
		return d, err
	}
	d.Attempts, err = number(h, DeadAttempts)
	return d, err
}

// tail returns the event type and the room in the subject of a post-event. The type may be unknown. For
// any other subject, such as that of a replay published by hand, both are "unknown", because a dead letter
// needs them.
func tail(subject string) (e room.EventType, roomID string) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 4 {
		return "unknown", "unknown"
	}
	return room.EventType(tokens[2]), tokens[3]
}

// DeadID returns the message id of a dead letter. The id is the same for every worker and room service,
// so the dead letter is stored once. It contains the creation time of the consumer: an app that is
// removed and registered again has a new consumer, which may deliver the message again.
func DeadID(app, stream string, consumerMade time.Time, seq uint64) string {
	return fmt.Sprintf("%s.%s.%d.%d", app, stream, consumerMade.UnixNano(), seq)
}
