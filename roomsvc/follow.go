package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

const (
	followHeartbeat = time.Second // two missed ones and the consumer is made anew
	followExpiry    = 10 * time.Second
	followBatch     = 2000
	followRetry     = 250 * time.Millisecond
)

// follow keeps the projection up with the stream until the context ends. Whenever the
// connection was lost it starts over from the last sequence it has, after a look whether the
// stream is still the one it knows.
func (s *Service) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.followOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("reading the stream again from where it broke off", "after", s.projection.last(), "error", err)
		}
		select {
		case <-time.After(followRetry):
		case <-ctx.Done():
		}
	}
}

func (s *Service) followOnce(ctx context.Context) error {
	if err := s.recognize(ctx); err != nil {
		return err
	}
	consumer, err := s.js.OrderedConsumer(ctx, subjects.Events, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   s.projection.last() + 1,
	})
	if err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(followBatch),
		jetstream.PullHeartbeat(followHeartbeat), jetstream.PullExpiry(followExpiry))
	if err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	defer messages.Stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ctx.Done():
		case <-s.reconnected:
		case <-ended:
		}
		messages.Stop()
	}()
	for {
		msg, err := messages.Next()
		if err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
		s.consume(msg)
	}
}

// consume applies one message of the stream, or quarantines it.
func (s *Service) consume(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		s.log.Error("a message of the stream without metadata", "subject", msg.Subject(), "error", err)
		return
	}
	seq := meta.Sequence.Stream
	e, err := subjects.DecodePost(msg.Subject(), msg.Headers(), msg.Data(), seq)
	if err != nil {
		s.projection.quarantine(e.Room, seq)
	} else {
		err = s.projection.consume(e, meta.Timestamp)
	}
	if err != nil {
		s.log.Error("quarantined a message of the stream", "subject", msg.Subject(), "seq", seq, "error", err)
	}
}

// errForgotten is returned when the stream has lost its end.
var errForgotten = errors.New("the stream ends before what was read of it")

// recognize looks whether the stream is the one that the projection was made from. A stream
// made anew, or one that lost its end with a server's power, would give known sequences to
// other events: then the projection starts from nothing.
func (s *Service) recognize(ctx context.Context) error {
	for look := 1; ; look++ {
		info, err := s.stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("looking at the stream: %w", err)
		}
		same := info.Created.Equal(s.created)
		if same && info.State.LastSeq >= s.projection.last() {
			return nil
		}
		if !same || look == recognizeLooks {
			s.log.Error("the stream is not the one that was read before; the projection is made anew",
				"created", info.Created, "ends", info.State.LastSeq, "read", s.projection.last())
			s.projection.reset()
			s.created = info.Created
			return nil
		}
		// A new leader may need a moment to have everything at hand.
		select {
		case <-time.After(followRetry):
		case <-ctx.Done():
			return errForgotten
		}
	}
}

const recognizeLooks = 8

// catchUp returns when the projection has everything that the stream has now.
func (s *Service) catchUp(ctx context.Context) error {
	msg, err := s.stream.GetLastMsgForSubject(ctx, subjects.AllEvents)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking for the stream's last event: %w", err)
	}
	return s.projection.reach(ctx, msg.Sequence)
}
