package projection

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// snapshotTimeout bounds reading or writing a snapshot.
	snapshotTimeout = time.Minute
	// snapshotJitter is the maximum random wait before a snapshot is written. All services find at
	// the same time that one is due, and one is enough.
	snapshotJitter = 5 * time.Second
)

// Run writes a snapshot of the projection after every Config.SnapshotEvery events until the context
// ends. It logs errors and goes on: a snapshot only speeds up the next start.
func (s *Snapshots) Run(ctx context.Context, p *Projection) {
	every := p.cfg.SnapshotEvery
	if every < 0 {
		return
	}
	last := s.restored
	for p.AwaitSeq(ctx, last+uint64(every)) == nil {
		select {
		case <-time.After(rand.N(snapshotJitter)):
		case <-ctx.Done():
			return
		}
		last = s.take(ctx, p, uint64(every))
	}
}

// TakeLast writes a snapshot if there are events since the last one. The projection must be running.
func (s *Snapshots) TakeLast(ctx context.Context, p *Projection) {
	if !p.cfg.Conn.IsConnected() {
		p.cfg.Logger.Warn("cannot write a snapshot", "error", nats.ErrDisconnected)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	_ = p.AwaitSeq(ctx, p.Highest()) // the write below reports a timeout
	s.take(ctx, p, 1)
}

// take writes a snapshot, unless the current one lacks fewer than lacking events. It
// returns the sequence of the new or omitted snapshot.
func (s *Snapshots) take(ctx context.Context, p *Projection, lacking uint64) uint64 {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	start := time.Now()
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return p.Last()
	}
	snapshot := newSnapshot(p)
	object, err := s.write(ctx, snapshot, lacking)
	switch {
	case err != nil:
		p.cfg.Logger.Warn("cannot write a snapshot", "seq", snapshot.head.Seq, "error", err)
	case object != nil:
		p.cfg.Logger.Info("snapshot written", "seq", snapshot.head.Seq, "rooms", snapshot.tail.Rooms, "bytes", object.Size, "took", time.Since(start))
	}
	return snapshot.head.Seq
}

// write stores the snapshot. It returns nil if the current one is recent enough.
func (s *Snapshots) write(ctx context.Context, snapshot *snapshotWriter, lacking uint64) (*jetstream.ObjectInfo, error) {
	if err := snapshot.p.cfg.EnsureSnapshots(ctx); err != nil {
		return nil, err
	}
	there, err := s.current(ctx)
	if err != nil && !errors.Is(err, errNoSnapshot) {
		return nil, err
	}
	if snapshot.head.Seq < s.covers(there, snapshot.head)+lacking {
		return nil, nil
	}
	object := s.newObject(ctx, snapshot.head)
	file := bufio.NewWriterSize(object, frameBytes)
	if err := errors.Join(snapshot.write(ctx, file), file.Flush()); err != nil {
		s.remove(ctx, object.info.NUID)
		return nil, err
	}
	if err := object.replace(there); err != nil {
		s.remove(ctx, object.info.NUID)
		return nil, err
	}
	s.remove(ctx, there.NUID)
	s.sweep(ctx, object.info.NUID, unfinishedFor)
	return &object.info, nil
}
