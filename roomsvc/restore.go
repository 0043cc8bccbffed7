package roomsvc

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// restore begins the projection with the snapshot, if there is one that is of this stream.
func (s *Service) restore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	info, err := s.stream.Info(ctx)
	if err == nil && info.State.LastSeq == 0 {
		return
	}
	var p *projection
	if err == nil {
		p, err = s.readSnapshot(ctx, info)
	}
	switch {
	case errors.Is(err, errNoSnapshot):
		s.log.Info("there is no snapshot; the whole stream is read", "messages", info.State.Msgs)
	case err != nil:
		s.log.Warn("the snapshot cannot be used; the whole stream is read instead", "bucket", subjects.Snapshots, "error", err)
	default:
		s.projection, s.snapshots.restored = p, p.last()
		s.log.Info("read the snapshot", "seq", p.last(), "rooms", len(p.rooms))
	}
}

// readSnapshot reads the snapshot that there is. If another has taken its place meanwhile, and
// its parts are gone, that one is read.
func (s *Service) readSnapshot(ctx context.Context, stream *jetstream.StreamInfo) (*projection, error) {
	var unusable error
	for {
		object, err := s.snapshots.current(ctx)
		if err != nil {
			return nil, err
		}
		if object.NUID == s.snapshots.refused {
			return nil, unusable
		}
		var p *projection
		if p, unusable = s.readObject(ctx, stream, object.NUID); unusable == nil {
			return p, nil
		}
		s.snapshots.refused = object.NUID
	}
}

func (s *Service) readObject(ctx context.Context, stream *jetstream.StreamInfo, id string) (*projection, error) {
	file := s.snapshots.read(ctx, id)
	defer file.stop()
	p, tail, err := readSnapshot(file)
	if err != nil {
		return nil, err
	}
	return p, s.isOf(ctx, stream, p, tail)
}

// isOf returns an error unless what the projection has come from is the beginning of the stream.
func (s *Service) isOf(ctx context.Context, stream *jetstream.StreamInfo, p *projection, tail snapshotTail) error {
	if !p.stream.Equal(stream.Created) {
		return fmt.Errorf("it is of a stream created at %s, this one was at %s", p.stream, stream.Created)
	}
	if tail.Seq > stream.State.LastSeq {
		return fmt.Errorf("it goes to sequence %d, the stream ends at %d", tail.Seq, stream.State.LastSeq)
	}
	msg, err := s.stream.GetMsg(ctx, tail.Seq)
	if err != nil {
		return fmt.Errorf("looking for its last message, %d: %w", tail.Seq, err)
	}
	if id := msg.Header.Get(subjects.ID); id != tail.ID || !msg.Time.Equal(tail.Stored) {
		return fmt.Errorf("message %d of the stream is %q of %s, it was %q of %s", tail.Seq, id, msg.Time, tail.ID, tail.Stored)
	}
	return nil
}
