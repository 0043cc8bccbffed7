package projection

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// Config configures a projection. Every field but Reconnected is required.
type Config struct {
	// ID identifies the service among all replicas. It is shown with the consumer that reads the
	// stream.
	ID   string
	Conn *nats.Conn
	// Stream is the stream of events. Its cached info must say when the stream was created.
	Stream jetstream.Stream
	// Reconnected gets a status when a lost connection is back. Then the stream is checked and read
	// again.
	Reconnected <-chan nats.Status
	// AckWait is how long one request to JetStream may take.
	AckWait time.Duration
	// SnapshotEvery is the number of events after which a snapshot is written; negative: only
	// [Snapshots.TakeLast] writes one.
	SnapshotEvery int
	// EnsureSnapshots creates the bucket of snapshots if it is missing.
	EnsureSnapshots func(context.Context) error
	Observer        Observer
	Logger          *slog.Logger
}

// Observer is told how reading the stream goes. Calls come one after the other, from Run.
type Observer interface {
	// StreamFound is called when the stream exists, before it is read.
	StreamFound()
	// ReadStarted is called when reading has begun.
	ReadStarted()
	// ReadFailed is called when reading has failed. It is tried again. reading is false if it could
	// not begin. It is not called if reading starts over because a lost connection is back.
	ReadFailed(reading bool, err error)
}

// Projection is the in-memory state of all rooms, made from the events of the stream. Events come
// from two sides: all of them in order from the stream, and the service's own commits as soon as
// they are acknowledged. Every event names the previous event of its room, so an event that comes
// from both sides is applied once. It is safe for concurrent use.
type Projection struct {
	cfg     Config
	pending pendingCommits
	lost    atomic.Uint64 // damaged messages of the stream

	mu       sync.RWMutex
	stream   time.Time // when the stream was created
	rooms    rooms
	progress progress
	resets   int
}

// New returns a projection without rooms. [Snapshots.Restore] may fill it before Run is called.
func New(cfg Config) *Projection {
	p := newProjection(cfg.Stream.CachedInfo().Created)
	p.cfg = cfg
	return p
}

func newProjection(stream time.Time) *Projection {
	return &Projection{stream: stream, rooms: newRooms()}
}

// Run keeps the projection in sync with the stream until the context ends. It also expires
// remembered commands, since no new commands may come.
func (p *Projection) Run(ctx context.Context) {
	var reading sync.WaitGroup
	reading.Go(func() { (&follower{p}).run(ctx) })
	defer reading.Wait()
	tick := time.NewTicker(subjects.DedupeFor)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.Expire(now)
		case <-ctx.Done():
			return
		}
	}
}

// View returns the room as a decision about the command needs it, and the sequence of the command's
// event if it is committed and remembered, otherwise 0.
func (p *Projection) View(c rules.Command) (v rules.View, committed uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var never rules.State
	state := &never
	if s, ok := p.rooms.byID[c.Request.Target()]; ok {
		state = s
	}
	return state.View(c.Request), p.rooms.dedupe.find(c.ID)
}

// Commit applies an event that this service has just committed. It does nothing if the event has
// already come from the stream.
func (p *Projection) Commit(e room.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress.committed = max(p.progress.committed, e.Seq)
	if s := p.rooms.state(e.Room); s.Seq == e.Expected {
		_ = p.rooms.apply(s, e, time.Now()) // an event made by Decide and Combine for this state chains
	}
}

// consume applies the next event of the stream, stored at that time. If the event is quarantined it
// returns the reason.
func (p *Projection) consume(e room.Event, stored time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.progress.advance(e.Seq, stamp{e.ID, stored})
	s := p.rooms.state(e.Room)
	if e.Seq <= s.Seq {
		return nil // known from a commit or a snapshot
	}
	err := p.rooms.apply(s, e, stored)
	if err != nil {
		p.skip(e)
	}
	return err
}

// skipApplied moves past an event that is known from a commit or a snapshot. It returns false for
// any other message: a foreign message between two events of a room must be examined.
func (p *Projection) skipApplied(roomID string, seq uint64, newest stamp) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.rooms.byID[roomID]
	if !ok || seq > s.Seq || p.rooms.dedupe.find(newest.id) != seq {
		return false
	}
	p.progress.advance(seq, newest)
	return true
}

// quarantine moves past a message that is no event, stored at that time. If its subject names a
// room, the room goes on behind it.
func (p *Projection) quarantine(e room.Event, stored time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.progress.advance(e.Seq, stamp{e.ID, stored})
	p.skip(e)
}

// skip moves past a message that is not applied.
func (p *Projection) skip(e room.Event) {
	if e.Seq > p.progress.counted {
		p.progress.quarantined++
	}
	if e.Room != "" {
		p.rooms.skip(e.Room, e.Seq)
	}
}

// Expire forgets the commands that are old enough at that time. Run does so in time.
func (p *Projection) Expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rooms.dedupe.expire(now)
}

// created returns when the stream was created.
func (p *Projection) created() time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.stream
}

// reset drops everything, to read the stream from its start. The rooms are incomplete until the
// stream has been read up to whole, its last sequence.
func (p *Projection) reset(stream time.Time, whole uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = stream
	p.rooms = newRooms()
	p.progress.startOver(whole)
	p.resets++
}

// adopt takes over what was read from a snapshot. It must be called before Run.
func (p *Projection) adopt(read *Projection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream, p.rooms, p.progress = read.stream, read.rooms, read.progress
}

// Stats are the figures of a projection for operators.
type Stats struct {
	Rooms       int    // live rooms
	Deleted     int    // deleted rooms with history in the stream
	Quarantined uint64 // messages not applied
	Lost        uint64 // messages damaged on disk, as CheckIntegrity found
	LastSeq     uint64 // the last sequence read from the stream
	// Hash is equal in all services with the same rooms. It is empty while a commit is known that
	// has not been read from the stream. So it is equal in all services with the same LastSeq.
	Hash string
}

// Stats returns the figures of the projection.
func (p *Projection) Stats() Stats {
	p.mu.RLock()
	defer p.mu.RUnlock()
	live := p.rooms.index.byID.Len()
	s := Stats{
		Rooms: live, Deleted: len(p.rooms.byID) - live, Quarantined: p.progress.quarantined,
		Lost: p.lost.Load(), LastSeq: p.progress.consumed,
	}
	if p.progress.committed <= p.progress.consumed {
		s.Hash = fmt.Sprintf("%016x", p.rooms.sum)
	}
	return s
}
