package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// restore starts the projection from the snapshot, if there is one of this stream.
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
		s.log.Info("no snapshot; reading the whole stream", "messages", info.State.Msgs)
	case err != nil:
		s.log.Warn("snapshot unusable; reading the whole stream", "bucket", subjects.Snapshots, "error", err)
	default:
		s.projection, s.snapshots.restored = p, p.last()
		s.log.Info("snapshot read", "seq", p.last(), "rooms", len(p.rooms))
	}
}

// readSnapshot reads the current snapshot. If another snapshot has replaced it meanwhile, and its
// parts are gone, it reads the other.
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
	if err := s.checkOrigin(ctx, stream, p, tail); err != nil {
		return nil, err
	}
	return p, s.checkComplete(ctx, stream, p, tail)
}

// checkOrigin returns an error unless the projection was made from the beginning of this stream.
func (s *Service) checkOrigin(ctx context.Context, stream *jetstream.StreamInfo, p *projection, tail snapshotTail) error {
	if !p.stream.Equal(stream.Created) {
		return fmt.Errorf("it belongs to a stream created at %s, this stream was created at %s", p.stream, stream.Created)
	}
	if tail.Seq > stream.State.LastSeq {
		return fmt.Errorf("it goes to sequence %d, the stream ends at %d", tail.Seq, stream.State.LastSeq)
	}
	msg, err := s.stream.GetMsg(ctx, tail.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) && p.ended(tail.Seq) {
		return nil // the retention has removed it
	}
	if err != nil {
		return fmt.Errorf("looking for its last message, %d: %w", tail.Seq, err)
	}
	if id := msg.Header.Get(subjects.ID); id != tail.ID || !msg.Time.Equal(tail.Stored) {
		return fmt.Errorf("message %d of the stream is %q of %s, it was %q of %s", tail.Seq, id, msg.Time, tail.ID, tail.Stored)
	}
	return nil
}

// purged returns how many messages have been purged from the stream.
func purged(stream *jetstream.StreamInfo) uint64 {
	return stream.State.LastSeq - min(stream.State.Msgs, stream.State.LastSeq)
}

// checkComplete returns an error if the last event of any type of a live room was purged from the
// stream. It only looks for the events if messages were purged since they were last known to exist.
// The retention, which removes the histories of deleted rooms, is one reason for that.
func (s *Service) checkComplete(ctx context.Context, stream *jetstream.StreamInfo, p *projection, tail snapshotTail) error {
	purged := purged(stream)
	if tail.Purged == nil || *tail.Purged != purged {
		look := s.checkEventsBySeq
		if stream.State.NumDeleted > maxDeleted {
			look = s.checkEventsBySubject
		}
		if err := look(ctx, p); err != nil {
			return err
		}
	}
	p.purged = &purged
	return nil
}

// maxDeleted bounds the answer that lists the sequences of purged messages: 8 MB, within a second.
const maxDeleted = 1_000_000

// haveEvents looks for sequences of live rooms among those that were purged.
func (s *Service) checkEventsBySeq(ctx context.Context, p *projection) error {
	info, err := s.stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return fmt.Errorf("listing the messages that were purged: %w", err)
	}
	slices.Sort(info.State.Deleted)
	for id, r := range p.rooms {
		for _, e := range room.EventTypes() {
			seq := r.Latest.Of(e)
			_, deleted := slices.BinarySearch(info.State.Deleted, seq)
			if r.Has(e) && (deleted || seq < info.State.FirstSeq) {
				return purgedError(id, e)
			}
		}
	}
	return nil
}

// haveSubjects looks for the subjects of live rooms. That takes longer: the server lists all subjects
// once for every 100,000 of them.
func (s *Service) checkEventsBySubject(ctx context.Context, p *projection) error {
	for _, e := range room.EventTypes() { // one at a time: a million rooms make a long list
		info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(subjects.PostsLike(e)))
		if err != nil {
			return fmt.Errorf("listing the subjects of %s events: %w", e, err)
		}
		for id, r := range p.rooms {
			if _, there := info.State.Subjects[subjects.Post(e, id)]; !there && r.Has(e) {
				return purgedError(id, e)
			}
		}
	}
	return nil
}

func purgedError(roomID string, e room.EventType) error {
	return fmt.Errorf("it has room %q, whose %s events were purged from the stream", roomID, e)
}
