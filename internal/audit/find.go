package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// slack bounds the clock difference between clients and servers: the time in a command's id may be
// this much later than the time at which the command was stored.
const slack = 10 * time.Minute

// Query selects a command, and the part of the streams to search.
type Query struct {
	ID    string    // of the command
	Seq   uint64    // sequence of the command's event, whose id then replaces ID if it has one; 0: search for ID
	Room  string    // only messages of this room; empty: of all rooms
	Since time.Time // only messages stored since then; zero: all
}

// Record is one stored message about a command: an event or a rejection.
type Record struct {
	Msg       *jetstream.RawStreamMsg // as stored
	Event     *room.Event
	Rejection *room.Rejection
	Err       error // why the message is neither, although it carries the id
}

// NotFoundError is returned when the searched messages have no record of the command.
type NotFoundError struct {
	Query              Query
	Events, Rejections int // number of messages searched
}

func (e *NotFoundError) Error() string {
	of, since := "all rooms", ""
	if e.Query.Room != "" {
		of = "room " + e.Query.Room
	}
	if !e.Query.Since.IsZero() {
		since = " since " + e.Query.Since.Format(time.RFC3339)
	}
	nor := ""
	if e.Query.Seq > 0 {
		nor = ", nor an event of that sequence,"
	}
	return fmt.Sprintf("no trace of command %q%s among the %d events and %d rejections of %s%s", e.Query.ID, nor, e.Events, e.Rejections, of, since)
}

// Find returns the records of a command, in the order in which it was tried. For an id that is a
// UUIDv7 it reads from ten minutes before the time in the id. If it finds nothing there, it reads
// from the beginning.
//
// It returns a *NotFoundError if there is no record, jetstream.ErrStreamNotFound if there is no
// stream of events, and the context's error as soon as the context ends. A missing stream of
// rejections counts as empty. An event without an id is found only by its sequence.
func Find(ctx context.Context, js jetstream.JetStream, q Query) ([]Record, error) {
	if q.Seq > 0 {
		msg, err := at(ctx, js, q.Seq)
		if err != nil {
			return nil, err
		}
		if msg != nil {
			q.Seq = 0
			if q.ID = msg.Header.Get(subjects.ID); q.ID == "" {
				return []Record{eventRecord(msg)}, nil
			}
		}
	}
	if made, ok := madeAt(q.ID); ok && q.Since.IsZero() {
		late := q
		late.Since = made.Add(-slack)
		found, err := late.find(ctx, js)
		var none *NotFoundError
		if !errors.As(err, &none) {
			return found, err
		}
	}
	return q.find(ctx, js)
}

// at returns the message with that sequence in the stream of events, or nil.
func at(ctx context.Context, js jetstream.JetStream, seq uint64) (*jetstream.RawStreamMsg, error) {
	s, err := js.Stream(ctx, subjects.Events)
	if err != nil {
		return nil, fmt.Errorf("opening stream %s: %w", subjects.Events, err)
	}
	msg, err := s.GetMsg(ctx, seq)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("reading message %d of stream %s: %w", seq, subjects.Events, err)
	}
	return msg, nil
}

// madeAt returns the time in an id, if the id has one.
func madeAt(id string) (time.Time, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	return time.Unix(u.Time().UnixTime()), true
}

func (q Query) find(ctx context.Context, js jetstream.JetStream) ([]Record, error) {
	filters := [2]string{subjects.AllEvents, subjects.AllRejections}
	if q.Room != "" {
		filters = [2]string{subjects.PostsOf(q.Room), subjects.RejectionsOf(q.Room)}
	}
	events, among, err := q.scan(ctx, js, subjects.Events, filters[0])
	if err != nil {
		return nil, err
	}
	rejections, amongRejections, err := q.scan(ctx, js, subjects.Rejections, filters[1])
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, err
	}
	var found []Record
	for _, msg := range events {
		found = append(found, eventRecord(msg))
	}
	for _, msg := range rejections {
		r, err := subjects.DecodeRejection(msg.Subject, msg.Header, msg.Data)
		found = append(found, record(msg, nil, &r, err))
	}
	if len(found) == 0 {
		return nil, &NotFoundError{Query: q, Events: among, Rejections: amongRejections}
	}
	slices.SortStableFunc(found, func(a, b Record) int { return a.begun().Compare(b.begun()) })
	return found, nil
}

// begun returns the time at which the recorded try began. A rejection is written asynchronously,
// and may reach its stream after the event of the next try.
func (r Record) begun() time.Time {
	switch {
	case r.Event != nil:
		return r.Event.Time
	case r.Rejection != nil:
		return r.Rejection.Time
	}
	return r.Msg.Time
}

func eventRecord(msg *jetstream.RawStreamMsg) Record {
	e, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
	return record(msg, &e, nil, err)
}

func record(msg *jetstream.RawStreamMsg, e *room.Event, r *room.Rejection, err error) Record {
	if err != nil {
		return Record{Msg: msg, Err: err}
	}
	return Record{Msg: msg, Event: e, Rejection: r}
}

// scan returns the messages of a stream that carry the id, and the number of messages it looked at.
func (q Query) scan(ctx context.Context, js jetstream.JetStream, stream, filter string) (found []*jetstream.RawStreamMsg, among int, err error) {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, HeadersOnly: true}
	if !q.Since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &q.Since
	}
	var at []uint64
	for msg, err := range bus.Read(ctx, js, stream, cfg, false) {
		if err != nil {
			return nil, among, err
		}
		among++
		if carries(msg.Header, q.ID) {
			at = append(at, msg.Sequence)
		}
	}
	if len(at) == 0 {
		return nil, among, nil
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, among, fmt.Errorf("opening stream %s: %w", stream, err)
	}
	for _, seq := range at {
		msg, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // it expired in the meantime
		}
		if err != nil {
			return nil, among, fmt.Errorf("reading message %d of stream %s: %w", seq, stream, err)
		}
		found = append(found, msg)
	}
	return found, among, nil
}

func carries(h nats.Header, id string) bool { return h.Get(subjects.ID) == id }
