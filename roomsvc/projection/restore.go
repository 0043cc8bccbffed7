package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Restore starts the projection from the current snapshot, if there is one of this stream. It must
// be called before the projection runs. It logs why a snapshot cannot be used.
func (s *Snapshots) Restore(ctx context.Context, p *Projection) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	log := p.cfg.Logger
	info, err := p.cfg.Stream.Info(ctx)
	if err == nil && info.State.LastSeq == 0 {
		return
	}
	var read *Projection
	if err == nil {
		read, err = s.readCurrent(ctx, origin{p.cfg.Stream, info})
	}
	switch {
	case errors.Is(err, errNoSnapshot):
		log.Info("no snapshot; reading the whole stream", "messages", info.State.Msgs)
	case err != nil:
		log.Warn("snapshot unusable; reading the whole stream", "bucket", subjects.Snapshots, "error", err)
	default:
		p.adopt(read)
		s.restored = p.Last()
		log.Info("snapshot read", "seq", s.restored, "rooms", len(read.rooms.byID))
	}
}

// readCurrent reads the current snapshot. If another snapshot has replaced it meanwhile, and its
// parts are gone, it reads the other.
func (s *Snapshots) readCurrent(ctx context.Context, o origin) (*Projection, error) {
	var unusable error
	for {
		object, err := s.current(ctx)
		if err != nil {
			return nil, err
		}
		if object.NUID == s.refused {
			return nil, unusable
		}
		var p *Projection
		if p, unusable = s.readObject(ctx, o, object.NUID); unusable == nil {
			return p, nil
		}
		s.refused = object.NUID
	}
}

func (s *Snapshots) readObject(ctx context.Context, o origin, id string) (*Projection, error) {
	file := s.read(ctx, id)
	defer file.stop()
	p, tail, err := readSnapshot(file)
	if err != nil {
		return nil, err
	}
	if err := o.check(ctx, p, tail); err != nil {
		return nil, err
	}
	return p, o.checkComplete(ctx, p, tail)
}

// origin is the stream that a snapshot must have been made from.
type origin struct {
	stream jetstream.Stream
	info   *jetstream.StreamInfo
}

// check returns an error unless the projection was made from the beginning of this stream.
func (o origin) check(ctx context.Context, p *Projection, tail snapshotTail) error {
	if !p.stream.Equal(o.info.Created) {
		return fmt.Errorf("it belongs to a stream created at %s, this stream was created at %s", p.stream, o.info.Created)
	}
	if tail.Seq > o.info.State.LastSeq {
		return fmt.Errorf("it goes to sequence %d, the stream ends at %d", tail.Seq, o.info.State.LastSeq)
	}
	msg, err := o.stream.GetMsg(ctx, tail.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) && p.rooms.ended(tail.Seq) {
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
func (o origin) checkComplete(ctx context.Context, p *Projection, tail snapshotTail) error {
	purged := purged(o.info)
	if tail.Purged == nil || *tail.Purged != purged {
		look := o.checkEventsBySeq
		if o.info.State.NumDeleted > maxDeleted {
			look = o.checkEventsBySubject
		}
		if err := look(ctx, p); err != nil {
			return err
		}
	}
	p.progress.purged = &purged
	return nil
}

// maxDeleted bounds the answer that lists the sequences of purged messages: 8 MB, within a second.
const maxDeleted = 1_000_000

// checkEventsBySeq looks for sequences of live rooms among those that were purged.
func (o origin) checkEventsBySeq(ctx context.Context, p *Projection) error {
	info, err := o.stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return fmt.Errorf("listing the messages that were purged: %w", err)
	}
	slices.Sort(info.State.Deleted)
	for id, r := range p.rooms.byID {
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

// checkEventsBySubject looks for the subjects of live rooms. That takes longer: the server lists all
// subjects once for every 100,000 of them.
func (o origin) checkEventsBySubject(ctx context.Context, p *Projection) error {
	for _, e := range room.EventTypes() { // one at a time: a million rooms make a long list
		info, err := o.stream.Info(ctx, jetstream.WithSubjectFilter(subjects.PostsLike(e)))
		if err != nil {
			return fmt.Errorf("listing the subjects of %s events: %w", e, err)
		}
		for id, r := range p.rooms.byID {
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
