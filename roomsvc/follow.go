package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

const (
	followHeartbeat = time.Second // after two missed heartbeats reading starts over
	followExpiry    = 10 * time.Second
	followBatch     = 2000
	followRetry     = 250 * time.Millisecond
	followFarewell  = time.Second
	// A message that does not come for this long may have been removed. The time is longer than two
	// heartbeats, after which a missing consumer is noticed.
	followQuiet     = 3 * followHeartbeat
	followForgotten = time.Minute // then the server drops a consumer without a reader
)

// follow keeps the projection in sync with the stream until the context ends. After a lost
// connection it checks whether the stream is still the same, and goes on behind the last sequence
// of the projection.
func (s *Service) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if reading, err := s.followOnce(ctx); err != nil && ctx.Err() == nil {
			s.readFailed(reading, err)
		}
		select {
		case <-time.After(followRetry):
		case <-ctx.Done():
		}
	}
}

// forgetCommands expires remembered commands until the context ends, also if no new commands come.
func (s *Service) forgetCommands(ctx context.Context) {
	for sleep(ctx, dedupeFor) {
		s.projection.expire(time.Now())
	}
}

// followOnce reads the stream in order, from behind the projection, until the context ends, the
// connection is lost, or a message is missing. Then the caller calls it again. It uses an ephemeral
// consumer without acknowledgements. It reports whether reading had begun.
func (s *Service) followOnce(ctx context.Context) (reading bool, err error) {
	end, err := s.resetIfRecreated(ctx)
	if err != nil {
		return false, err
	}
	s.gone.Store(false)
	start := s.projection.last() + 1
	consumer, err := s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Description:       "room service " + s.id + " reading its projection",
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       start,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: followForgotten,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return false, fmt.Errorf("reading the stream: %w", err)
	}
	defer s.unfollow(consumer)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(followBatch), jetstream.PullExpiry(followExpiry),
		jetstream.PullHeartbeat(followHeartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return false, fmt.Errorf("reading the stream: %w", err)
	}
	defer messages.Stop()
	s.readStarted()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.reconnected:
			cancel(errReconnected)
		case <-ctx.Done():
		}
	}()
	gaps := gapCheck{fromStart: start == 1, end: end}
	drained := consumer.CachedInfo().NumPending == 0
	for next := uint64(1); ; next++ {
		msg, err := s.next(ctx, messages, gaps, drained)
		if err != nil {
			return true, fmt.Errorf("reading the stream: %w", errors.Join(err, context.Cause(ctx)))
		}
		meta, err := msg.Metadata()
		if err != nil {
			return true, fmt.Errorf("reading the stream: %w", err)
		}
		if meta.Sequence.Consumer != next {
			return true, fmt.Errorf("reading the stream: message %d came where %d was due", meta.Sequence.Consumer, next)
		}
		if gaps.missed(s.projection.last(), meta.Sequence.Stream) {
			return true, s.missed(meta.Sequence.Stream)
		}
		s.consume(msg, meta)
		drained = meta.NumPending == 0
	}
}

// unfollow deletes a consumer that is no longer read, if the connection is up. Until the server
// drops the consumer, it would hold back the removal of histories of deleted rooms.
func (s *Service) unfollow(consumer jetstream.Consumer) {
	if !s.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), followFarewell)
	defer cancel()
	_ = s.stream.DeleteConsumer(ctx, consumer.CachedInfo().Name)
}

// next returns the next message. Before the stream's end, as it was when the reading began, it
// checks whether a message is left that can come: after followQuiet, or at once if no message is
// pending.
func (s *Service) next(ctx context.Context, messages jetstream.MessagesContext, g gapCheck, drained bool) (jetstream.Msg, error) {
	for s.projection.last() < g.end {
		if drained {
			if err := s.skipToEnd(ctx, g); err != nil {
				return nil, err
			}
		}
		quiet, cancel := context.WithTimeout(ctx, followQuiet)
		msg, err := messages.Next(jetstream.NextContext(quiet))
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return msg, err
		}
		drained = true
	}
	return messages.Next(jetstream.NextContext(ctx))
}

// consume applies one message of the stream, or quarantines it.
func (s *Service) consume(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
	seq := meta.Sequence.Stream
	if _, roomID, ok := subjects.ParsePost(msg.Subject()); ok && s.projection.skipApplied(roomID, seq, stamp{msg.Headers().Get(subjects.ID), meta.Timestamp}) {
		return
	}
	e, ok := s.pending.find(msg, seq)
	var err error
	if !ok {
		e, err = subjects.DecodePost(msg.Subject(), msg.Headers(), msg.Data(), seq)
	}
	if err != nil {
		s.projection.quarantine(e, meta.Timestamp)
	} else {
		err = s.projection.consume(e, meta.Timestamp)
	}
	if err != nil {
		s.log.Error("message of the stream quarantined", "subject", msg.Subject(), "seq", seq, "error", err)
	}
}

// errReconnected is the reason to read again after a lost connection: the server or the stream may
// have been replaced.
var errReconnected = errors.New("the connection was lost and is back")

// resetIfRecreated checks whether the stream is the one that the projection was read from. A
// recreated stream, or a stream that lost its end in a power failure, gives known sequences to
// other events. Then the projection is reset. It returns the stream's last sequence, which a purge
// does not lower.
func (s *Service) resetIfRecreated(ctx context.Context) (end uint64, err error) {
	for look := 1; ; look++ {
		info, err := s.stream.Info(ctx)
		if err != nil {
			return 0, fmt.Errorf("looking at the stream: %w", err)
		}
		same := info.Created.Equal(s.projection.created())
		if same && info.State.LastSeq >= s.projection.highest() {
			s.projection.notePurged(purged(info))
			return info.State.LastSeq, nil
		}
		if !same || look == recreatedLooks {
			s.log.Error("stream recreated or truncated; resetting the projection",
				"created", info.Created, "ends", info.State.LastSeq, "known", s.projection.highest())
			s.projection.reset(info.Created, info.State.LastSeq)
			s.projection.notePurged(purged(info))
			return info.State.LastSeq, nil
		}
		// A new leader may need a moment until it has the end of the stream.
		select {
		case <-time.After(followRetry):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

const recreatedLooks = 8

// catchUp returns when the projection has every readable message that the stream has now. It asks
// for the last sequence rather than for the last message, since the message may be damaged.
func (s *Service) catchUp(ctx context.Context) error {
	info, err := s.info(ctx)
	if err != nil {
		return fmt.Errorf("asking where the stream ends: %w", err)
	}
	for {
		err := s.awaitSeqWithin(ctx, info.State.LastSeq, s.cfg.AckWait)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if s.endsBefore(ctx, s.projection.last()+1) {
			s.projection.skipTo(info.State.LastSeq)
		}
	}
}

func (s *Service) awaitSeqWithin(ctx context.Context, seq uint64, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return s.projection.awaitSeq(ctx, seq)
}

// info returns the stream info. It retries while there is no answer: a stream without a leader does
// not answer, and the request is not answered later.
func (s *Service) info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	return backoff.Retry(ctx, func() (*jetstream.StreamInfo, error) {
		try, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		defer cancel()
		info, err := s.stream.Info(try, opts...)
		if err != nil && !bus.NotReady(err) {
			err = backoff.Permanent(err)
		}
		return info, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(0))
}
