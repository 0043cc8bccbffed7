package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

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

// follower reads the stream into the projection.
type follower struct{ p *Projection }

// run reads until the context ends. After a lost connection it checks whether the stream is still
// the same, and goes on behind the last sequence of the projection.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if reading, err := f.read(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errReconnected) {
			f.p.cfg.Observer.ReadFailed(reading, err)
		}
		select {
		case <-time.After(followRetry):
		case <-ctx.Done():
		}
	}
}

// read reads the stream in order, from behind the projection, until the context ends, the
// connection is lost, or a message is missing. Then the caller calls it again. It uses an ephemeral
// consumer without acknowledgements. It reports whether reading had begun.
func (f *follower) read(ctx context.Context) (reading bool, err error) {
	end, err := f.resetIfRecreated(ctx)
	if err != nil {
		return false, err
	}
	f.p.cfg.Observer.StreamFound()
	start := f.p.Last() + 1
	consumer, err := f.p.cfg.Stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Description:       "room service " + f.p.cfg.ID + " reading its projection",
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
	defer f.unfollow(consumer)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(followBatch), jetstream.PullExpiry(followExpiry),
		jetstream.PullHeartbeat(followHeartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return false, fmt.Errorf("reading the stream: %w", err)
	}
	defer messages.Stop()
	f.p.cfg.Observer.ReadStarted()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-f.p.cfg.Reconnected:
			cancel(errReconnected)
		case <-ctx.Done():
		}
	}()
	gaps := gapCheck{fromStart: start == 1, end: end}
	drained := consumer.CachedInfo().NumPending == 0
	for next := uint64(1); ; next++ {
		msg, err := f.next(ctx, messages, gaps, drained)
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
		if gaps.missed(f.p.Last(), meta.Sequence.Stream) {
			return true, f.missed(meta.Sequence.Stream)
		}
		f.consume(msg, meta)
		drained = meta.NumPending == 0
	}
}

// unfollow deletes a consumer that is no longer read, if the connection is up. Until the server
// drops the consumer, it would hold back the removal of histories of deleted rooms.
func (f *follower) unfollow(consumer jetstream.Consumer) {
	if !f.p.cfg.Conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), followFarewell)
	defer cancel()
	_ = f.p.cfg.Stream.DeleteConsumer(ctx, consumer.CachedInfo().Name)
}

// next returns the next message. Before the stream's end, as it was when the reading began, it
// checks whether a message is left that can come: after followQuiet, or at once if no message is
// pending.
func (f *follower) next(ctx context.Context, messages jetstream.MessagesContext, g gapCheck, drained bool) (jetstream.Msg, error) {
	for f.p.Last() < g.end {
		if drained {
			if err := f.skipToEnd(ctx, g); err != nil {
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
func (f *follower) consume(msg jetstream.Msg, meta *jetstream.MsgMetadata) {
	seq := meta.Sequence.Stream
	if _, roomID, ok := subjects.ParsePost(msg.Subject()); ok && f.p.skipApplied(roomID, seq, stamp{msg.Headers().Get(subjects.ID), meta.Timestamp}) {
		return
	}
	e, ok := f.p.pending.find(msg, seq)
	var err error
	if !ok {
		e, err = subjects.DecodePost(msg.Subject(), msg.Headers(), msg.Data(), seq)
	}
	if err != nil {
		f.p.quarantine(e, meta.Timestamp)
	} else {
		err = f.p.consume(e, meta.Timestamp)
	}
	if err != nil {
		f.p.cfg.Logger.Error("message of the stream quarantined", "subject", msg.Subject(), "seq", seq, "error", err)
	}
}

// errReconnected ends the reading when a lost connection is back. The stream is then read again,
// since the server or the stream may have been replaced.
var errReconnected = errors.New("the connection was lost and is back")

// resetIfRecreated checks whether the stream is the one that the projection was read from. A
// recreated stream, or a stream that lost its end in a power failure, gives known sequences to
// other events. Then the projection is reset. It returns the stream's last sequence, which a purge
// does not lower.
func (f *follower) resetIfRecreated(ctx context.Context) (end uint64, err error) {
	for look := 1; ; look++ {
		info, err := f.p.cfg.Stream.Info(ctx)
		if err != nil {
			return 0, fmt.Errorf("looking at the stream: %w", err)
		}
		same := info.Created.Equal(f.p.created())
		if same && info.State.LastSeq >= f.p.Highest() {
			f.p.notePurged(purged(info))
			return info.State.LastSeq, nil
		}
		if !same || look == recreatedLooks {
			f.p.cfg.Logger.Error("stream recreated or truncated; resetting the projection",
				"created", info.Created, "ends", info.State.LastSeq, "known", f.p.Highest())
			f.p.reset(info.Created, info.State.LastSeq)
			f.p.notePurged(purged(info))
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
