package subjects

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roombus/roombus/room"
)

// The headers that a dead letter has beside those of its event. The event's headers that mean
// something to JetStream stand behind a prefix.
const (
	DeadApp      = "Room-App"
	DeadError    = "Room-Error"
	DeadAttempts = "Room-Attempts"
	EventSubject = "Room-Event-Subject"
	EventSeq     = "Room-Event-Seq"

	jetStreamPrefix = "Nats-"
	originPrefix    = "Room-Event-"
)

// maxError bounds what a dead letter keeps of an error, in characters.
const maxError = 1024

// Delivered is a message of the stream of events as an app has got it, there or as a replay.
type Delivered struct {
	Subject string
	Headers Headers
	Data    []byte
	Seq     uint64 // in the stream of events
}

// Origin is the message of the stream of events that a dead letter or a replay was made of.
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

// isOfDeadLetter reports whether a header is the dead letter's and not its event's.
func isOfDeadLetter(key string) bool {
	switch key {
	case DeadApp, DeadError, DeadAttempts, EventSubject, EventSeq:
		return true
	}
	return false
}

// EncodeDead makes the message of a dead letter.
func EncodeDead(app string, of Delivered, why error, attempts uint64) (subject string, h Headers) {
	h = Headers{
		DeadApp:      {app},
		DeadError:    {fmt.Sprintf("%.*s", maxError, strings.ToValidUTF8(why.Error(), "?"))},
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

// DecodeDead reads a message of the stream of dead letters. The error says what is wrong with a
// message that is none.
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

// tail is what the subject of a post-event ends with, whether there is such an event or not. What
// has another subject, as a replay that somebody made by hand, needs one as a dead letter too.
func tail(subject string) (e room.EventType, roomID string) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 4 {
		return "unknown", "unknown"
	}
	return room.EventType(tokens[2]), tokens[3]
}

// DeadID is the message id of the dead letter that an app's delivery of a message becomes, so that
// it is stored once, whoever stores it. An app that is registered anew may get the message anew,
// from a consumer that is a new one.
func DeadID(app, stream string, consumerMade time.Time, seq uint64) string {
	return fmt.Sprintf("%s.%s.%d.%d", app, stream, consumerMade.UnixNano(), seq)
}
