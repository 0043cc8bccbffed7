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
	followHeartbeat = time.Second // after two missed ones reading starts over
	followExpiry    = 10 * time.Second
	followBatch     = 2000
	followRetry     = 250 * time.Millisecond
	followForgotten = time.Minute // the server drops a consumer that nobody reads
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

// followOnce reads the stream in order, from behind what the projection has, until the
// context ends, the connection was lost, or something is amiss with what it reads: then the
// caller does it again. The consumer is this call's own and needs no acknowledgements.
func (s *Service) followOnce(ctx context.Context) error {
	if err := s.recognize(ctx); err != nil {
		return err
	}
	consumer, err := s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Description:       "a room service reading its projection",
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       s.projection.last() + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: followForgotten,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(followBatch), jetstream.PullExpiry(followExpiry),
		jetstream.PullHeartbeat(followHeartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	defer messages.Stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.reconnected:
			s.log.Info("connected again", "server", s.nc.ConnectedUrlRedacted())
			cancel(errReconnected)
		case <-ctx.Done():
		}
	}()
	for next := uint64(1); ; next++ {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("reading the stream: %w", errors.Join(err, context.Cause(ctx)))
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
		if meta.Sequence.Consumer != next {
			return fmt.Errorf("reading the stream: message %d came where %d was due", meta.Sequence.Consumer, next)
		}
		s.consume(msg, meta)
	}
}

// consume applies one message of the stream, or quarantines it.
func (s *Service) consume(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
	seq := meta.Sequence.Stream
	e, err := subjects.DecodePost(msg.Subject(), msg.Headers(), msg.Data(), seq)
	if err != nil {
		s.projection.quarantine(e, meta.Timestamp)
	} else {
		err = s.projection.consume(e, meta.Timestamp)
	}
	if err != nil {
		s.log.Error("quarantined a message of the stream", "subject", msg.Subject(), "seq", seq, "error", err)
	}
}

// errReconnected is why reading starts over after a lost connection: the server, or even the
// stream, may be another one.
var errReconnected = errors.New("the connection was lost and is back")

// recognize looks whether the stream is the one that the projection was made from. A stream
// made anew, or one that lost its end with a server's power, would give known sequences to
// other events: then the projection starts from nothing.
func (s *Service) recognize(ctx context.Context) error {
	for look := 1; ; look++ {
		info, err := s.stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("looking at the stream: %w", err)
		}
		same := info.Created.Equal(s.projection.created())
		if same && info.State.LastSeq >= s.projection.highest() {
			return nil
		}
		if !same || look == recognizeLooks {
			s.log.Error("the stream is not the one that was read before; the projection is made anew",
				"created", info.Created, "ends", info.State.LastSeq, "known", s.projection.highest())
			s.projection.reset(info.Created)
			return nil
		}
		// A new leader may need a moment to have everything at hand.
		select {
		case <-time.After(followRetry):
		case <-ctx.Done():
			return ctx.Err()
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
