package dead

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Filter chooses dead letters. An empty field matches every letter.
type Filter struct {
	App   string
	Event room.EventType
	Room  string
	Seq   uint64 // in the stream of dead letters; excludes the other fields
}

// Letter is a message of the stream of dead letters.
type Letter struct {
	Seq    uint64    `json:"seq"`  // in the stream of dead letters
	Time   time.Time `json:"time"` // when it was stored
	Reason error     `json:"-"`    // why the message is not a dead letter; nil for a dead letter
	room.DeadLetter

	Headers subjects.Headers `json:"-"`
	Data    []byte           `json:"-"` // the event's body
}

// Letters opens the stream of dead letters. It returns jetstream.ErrStreamNotFound if there is
// none.
func Letters(ctx context.Context, js jetstream.JetStream) (*Stream, error) {
	s, err := js.Stream(ctx, subjects.DeadLetters)
	if err != nil {
		return nil, fmt.Errorf("looking up stream %s: %w", subjects.DeadLetters, err)
	}
	return &Stream{js: js, stream: s}, nil
}

// Stream is the stream of dead letters.
type Stream struct {
	js     jetstream.JetStream
	stream jetstream.Stream
}

// Read yields the chosen letters that existed when the stream was opened, the oldest first. A
// letter that comes back during a replay is not among them. An error ends the sequence. It is a
// *NotFoundError if there is no letter with the filter's sequence.
func (s *Stream) Read(ctx context.Context, f Filter) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		if f.Seq > 0 {
			msg, err := s.stream.GetMsg(ctx, f.Seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				err = &NotFoundError{Seq: f.Seq}
			}
			if err != nil {
				yield(Letter{}, err)
				return
			}
			yield(letter(msg), nil)
			return
		}
		cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subjects.DeadLike(f.App, f.Event, f.Room)}}
		for msg, err := range bus.Read(ctx, s.js, subjects.DeadLetters, cfg, false) {
			if err != nil {
				yield(Letter{}, err)
				return
			}
			if msg.Sequence > s.stream.CachedInfo().State.LastSeq || !yield(letter(msg), nil) {
				return
			}
		}
	}
}

func letter(msg *jetstream.RawStreamMsg) Letter {
	l := Letter{Seq: msg.Sequence, Time: msg.Time, Headers: msg.Header, Data: msg.Data}
	l.DeadLetter, l.Reason = subjects.DecodeDead(msg.Subject, msg.Header)
	return l
}

// Replay delivers a letter to its app again, which gets it like any event, and removes it. If
// Replay is repeated within an hour, the app gets the letter once. The error has the code
// app_not_found if no app with the id gets post-events.
func (s *Stream) Replay(ctx context.Context, l Letter) error {
	if l.Reason != nil {
		return fmt.Errorf("letter %d is no dead letter: %w", l.Seq, l.Reason)
	}
	_, err := s.js.Consumer(ctx, subjects.Replays, subjects.Durable(l.App))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return room.Errorf(room.CodeAppNotFound, "letter %d is for app %q, which is not registered, or for no post-events", l.Seq, l.App)
	}
	if err != nil {
		return fmt.Errorf("looking for app %s: %w", l.App, err)
	}
	msg := &nats.Msg{Subject: subjects.Replay(l.App, l.Event, l.Room), Header: make(nats.Header), Data: l.Data}
	for key, values := range l.Headers {
		if !strings.HasPrefix(key, "Nats-") {
			msg.Header[key] = values
		}
	}
	if _, err := s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(fmt.Sprintf("%s.%d", subjects.DeadLetters, l.Seq))); err != nil {
		return fmt.Errorf("handing letter %d to app %s: %w", l.Seq, l.App, err)
	}
	return s.remove(ctx, l.Seq)
}

// Purge removes the chosen letters, and returns their number.
func (s *Stream) Purge(ctx context.Context, f Filter) (uint64, error) {
	if f.Seq > 0 {
		return 1, s.remove(ctx, f.Seq)
	}
	before, err := s.count(ctx, f)
	if err != nil {
		return 0, err
	}
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(subjects.DeadLike(f.App, f.Event, f.Room))); err != nil {
		return 0, fmt.Errorf("purging %s: %w", subjects.DeadLetters, err)
	}
	after, err := s.count(ctx, f)
	return before - min(after, before), err
}

func (s *Stream) count(ctx context.Context, f Filter) (n uint64, err error) {
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(subjects.DeadLike(f.App, f.Event, f.Room)))
	if err != nil {
		return 0, fmt.Errorf("looking at %s: %w", subjects.DeadLetters, err)
	}
	for _, of := range info.State.Subjects {
		n += of
	}
	return n, nil
}

func (s *Stream) remove(ctx context.Context, seq uint64) error {
	err := s.stream.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return &NotFoundError{Seq: seq}
	}
	if err != nil {
		return fmt.Errorf("removing letter %d: %w", seq, err)
	}
	return nil
}

// NotFoundError is returned when no dead letter has the sequence.
type NotFoundError struct{ Seq uint64 }

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no dead letter %d", e.Seq) }
