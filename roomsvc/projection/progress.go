package projection

import (
	"context"
	"slices"
	"time"

	"github.com/roombus/roombus/room"
)

// progress says how far the stream has been read. It has no lock of its own.
type progress struct {
	consumed    uint64 // the last sequence read from the stream
	newest      stamp  // of the message at consumed
	read        uint64 // number of messages read
	committed   uint64 // the highest sequence from a commit or a snapshot
	whole       uint64 // all rooms are known once consumed has reached this
	quarantined uint64 // messages up to consumed or counted, the higher of the two
	counted     uint64 // the snapshot has counted quarantined messages up to here
	// purged is the number of messages purged from the stream when it was last known to have the
	// events of every live room, nil if it never was.
	purged  *uint64
	waiting []waiting
}

// stamp identifies a message. A stream that lost its end may give the sequence to another message.
type stamp struct {
	id     string // of the event; may be empty if the message is no event
	stored time.Time
}

type waiting struct {
	seq     uint64
	reached chan struct{}
}

// advance counts a message and wakes the goroutines that wait for its sequence.
func (p *progress) advance(seq uint64, newest stamp) {
	p.read++
	p.setConsumed(seq, newest)
}

func (p *progress) setConsumed(seq uint64, newest stamp) {
	p.consumed, p.newest = seq, newest
	still := p.waiting[:0]
	for _, w := range p.waiting {
		if w.seq <= seq {
			close(w.reached)
		} else {
			still = append(still, w)
		}
	}
	p.waiting = still
}

// highest returns the highest known sequence, from the stream, a commit or a snapshot.
func (p *progress) highest() uint64 { return max(p.consumed, p.committed) }

// startOver forgets what was read, but not the goroutines that wait. All rooms are known once the
// stream has been read up to whole.
func (p *progress) startOver(whole uint64) { *p = progress{whole: whole, waiting: p.waiting} }

// checkWhole returns an error of code unavailable while the stream is being read again.
func (p *progress) checkWhole() error {
	if p.consumed < p.whole {
		return room.Errorf(room.CodeUnavailable, "the stream is being read again: not all rooms are known yet")
	}
	return nil
}

// missing returns how many messages of the stream could not be read. It is 0 if the stream has
// grown since, or if the projection began with a snapshot.
func (p *progress) missing(last, messages uint64) uint64 {
	if p.consumed != last || p.counted > 0 || p.read >= messages {
		return 0
	}
	return messages - p.read
}

// AwaitSeq returns when everything up to the sequence has been read from the stream. It returns the
// error of the context if that ends first.
func (p *Projection) AwaitSeq(ctx context.Context, seq uint64) error {
	p.mu.Lock()
	if p.progress.consumed >= seq {
		p.mu.Unlock()
		return nil
	}
	w := waiting{seq: seq, reached: make(chan struct{})}
	p.progress.waiting = append(p.progress.waiting, w)
	p.mu.Unlock()
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.progress.waiting = slices.DeleteFunc(p.progress.waiting, func(o waiting) bool { return o.reached == w.reached })
		return ctx.Err()
	}
}

func (p *Projection) awaitSeqWithin(ctx context.Context, seq uint64, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return p.AwaitSeq(ctx, seq)
}

// Waiting returns the number of goroutines that wait in AwaitSeq, for tests.
func (p *Projection) Waiting() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.progress.waiting)
}

// Last returns the last sequence read from the stream.
func (p *Projection) Last() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.progress.consumed
}

// Highest returns the highest known sequence, from the stream, a commit or a snapshot. No room has
// a higher one.
func (p *Projection) Highest() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.progress.highest()
}

// skipTo moves past the sequence, if the stream has no message left up to it.
func (p *Projection) skipTo(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq > p.progress.consumed {
		p.progress.setConsumed(seq, stamp{})
	}
}

// notePurged records how many messages have been purged from the stream, if none has been read yet.
func (p *Projection) notePurged(purged uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.progress.highest() == 0 {
		p.progress.purged = &purged
	}
}
