package roomsvc

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

// takeSnapshots writes a snapshot after every SnapshotEvery events until the context ends. It logs
// errors and goes on: a snapshot only speeds up the next start.
func (s *Service) takeSnapshots(ctx context.Context) {
	every := s.cfg.SnapshotEvery
	if every < 0 {
		return
	}
	last := s.snapshots.restored
	for s.projection.awaitSeq(ctx, last+uint64(every)) == nil {
		select {
		case <-time.After(rand.N(snapshotJitter)):
		case <-ctx.Done():
			return
		}
		last = s.takeSnapshot(ctx, uint64(every))
	}
}

// takeLastSnapshot writes a snapshot if there are events since the last one.
func (s *Service) takeLastSnapshot(ctx context.Context) {
	if s.ctx.Err() != nil {
		return // the service was stopped before
	}
	if !s.nc.IsConnected() {
		s.log.Warn("cannot write a snapshot", "error", nats.ErrDisconnected)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	_ = s.projection.awaitSeq(ctx, s.projection.highest()) // the write below reports a timeout
	s.takeSnapshot(ctx, 1)
}

// takeSnapshot writes a snapshot, unless the current one lacks fewer than lacking events. It
// returns the sequence of the new or omitted snapshot.
func (s *Service) takeSnapshot(ctx context.Context, lacking uint64) uint64 {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	start := time.Now()
	select {
	case s.snapshots.busy <- struct{}{}:
		defer func() { <-s.snapshots.busy }()
	case <-ctx.Done():
		return s.projection.last()
	}
	snapshot := s.projection.newSnapshot()
	object, err := s.write(ctx, snapshot, lacking)
	switch {
	case err != nil:
		s.log.Warn("cannot write a snapshot", "seq", snapshot.head.Seq, "error", err)
	case object != nil:
		s.log.Info("snapshot written", "seq", snapshot.head.Seq, "rooms", snapshot.tail.Rooms, "bytes", object.Size, "took", time.Since(start))
	}
	return snapshot.head.Seq
}

// write stores the snapshot. It returns nil if the current one is recent enough.
func (s *Service) write(ctx context.Context, snapshot *snapshotWriter, lacking uint64) (*jetstream.ObjectInfo, error) {
	if err := s.ensureSnapshots(ctx); err != nil {
		return nil, err
	}
	there, err := s.snapshots.current(ctx)
	if err != nil && !errors.Is(err, errNoSnapshot) {
		return nil, err
	}
	if snapshot.head.Seq < s.snapshots.covers(there, snapshot.head)+lacking {
		return nil, nil
	}
	object := s.snapshots.newObject(ctx, snapshot.head)
	file := bufio.NewWriterSize(object, frameBytes)
	if err := errors.Join(snapshot.write(ctx, file), file.Flush()); err != nil {
		s.snapshots.remove(ctx, object.info.NUID)
		return nil, err
	}
	if err := object.replace(there); err != nil {
		s.snapshots.remove(ctx, object.info.NUID)
		return nil, err
	}
	s.snapshots.remove(ctx, there.NUID)
	s.snapshots.sweep(ctx, object.info.NUID, unfinishedFor)
	return &object.info, nil
}
