package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// dependencies is the state of the streams and consumers that the service depends on, as of the
// last look. Operators may change them, and servers may lose them.
type dependencies struct {
	misconfigured atomic.Uint64 // streams that differ
	missing       atomic.Uint64 // events of live rooms
	remade        atomic.Uint64 // consumers of apps that were recreated

	logged map[string][]string // the logged findings by log message; only checkDependencies uses it
	mu     sync.Mutex
	floors map[string]uint64 // last known ack floors of the consumers of post-events, by app
}

// checkDependencies checks the streams, their events and the consumers of apps periodically until
// the context ends.
func (s *Service) checkDependencies(ctx context.Context) {
	for {
		s.checkStreams(ctx)
		s.checkEvents(ctx)
		s.checkConsumers(ctx)
		if !bus.Sleep(ctx, s.cfg.StreamCheck) {
			return
		}
	}
}

// finding logs an error when there is a new finding, and information when one is gone.
func (d *dependencies) finding(s *Service, message string, found []string, attrs ...any) {
	was := d.logged[message]
	if d.logged == nil {
		d.logged = make(map[string][]string)
	}
	d.logged[message] = found
	if len(without(found, was)) > 0 {
		s.log.Error(message, append([]any{"found", strings.Join(found, "; ")}, attrs...)...)
	} else if mended := without(was, found); len(mended) > 0 {
		s.log.Info("no longer: "+message, "was", strings.Join(mended, "; "), "still", strings.Join(found, "; "))
	}
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(some, one) })
}

// checkStreams compares the streams that a guarantee rests on with their required configuration. If
// a stream cannot be looked at, the last findings stay.
func (s *Service) checkStreams(ctx context.Context) {
	var found []string
	for _, n := range requirements(s.cfg.Replicas) {
		if n.lost != "" {
			continue
		}
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		err := bus.CheckStream(look, s.js, n.config, n.demand)
		cancel()
		var differs *bus.StreamDiffersError
		var missing *bus.StreamMissingError
		switch {
		case errors.As(err, &differs), errors.As(err, &missing):
			found = append(found, err.Error())
		case err != nil:
			return
		}
	}
	s.depends.misconfigured.Store(uint64(len(found)))
	s.depends.finding(s, "streams are not as they must be", found,
		"remedy", fmt.Sprintf("roombus streams --apply --replicas %d", s.cfg.Replicas))
}

// checkEvents checks whether the stream has all events of the live rooms.
func (s *Service) checkEvents(ctx context.Context) {
	missing, known := s.projection.MissingEvents(ctx)
	if !known {
		return
	}
	s.depends.missing.Store(missing)
	var found []string
	if missing > 0 {
		found = []string{"events of live rooms were purged, deleted, or removed by a limit"}
	}
	s.depends.finding(s, "events of rooms missing from the stream", found, "stream", subjects.Events, "missing", missing,
		"remedy", "restore the stream from a backup")
}

// checkConsumers records the ack floors of the consumers of post-events, and recreates consumers
// that are missing.
func (s *Service) checkConsumers(ctx context.Context) {
	var missing []room.Manifest
	for _, m := range s.apps.list() {
		if !m.HasPost() {
			continue
		}
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		consumer, err := s.stream.Consumer(look, subjects.Durable(m.ID))
		if err == nil {
			s.depends.acknowledged(m.ID, consumer.CachedInfo().AckFloor.Stream)
			_, err = s.replays.Consumer(look, subjects.Durable(m.ID))
		}
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			missing = append(missing, m)
		case err != nil:
			return
		}
	}
	if len(missing) == 0 || !bus.Sleep(ctx, s.cfg.AckWait) { // an app that is being removed is gone after the wait
		return
	}
	for _, m := range missing {
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		if r, ok := s.apps.get(m.ID); ok && s.apps.syncedRevision() > 0 && r.HasPost() {
			if err := s.prepareDurables(look, r.Manifest, &r); err != nil && !s.health.isUnavailable() {
				s.log.Warn("cannot recreate the consumers of an app; retrying", "app", m.ID, "error", err)
			}
		}
		cancel()
	}
}

func (d *dependencies) acknowledged(app string, floor uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.floors == nil {
		d.floors = make(map[string]uint64)
	}
	d.floors[app] = floor
}

// forget drops the ack floor of an app that is registered for the first time or removed.
func (d *dependencies) forget(app string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.floors, app)
}

func (d *dependencies) floor(app string) (seq uint64, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seq, known = d.floors[app]
	return seq, known
}

// remake recreates the missing consumer of a registered app. The consumer of post-events starts
// behind its last known ack floor, or with new events if the floor is unknown. remake logs which
// earlier events are delivered again and which are never delivered.
func (s *Service) remake(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at the stream of consumer %s: %w", want.Durable, err)
	}
	if info.Config.Name != subjects.Events { // a work queue keeps unacknowledged messages
		return create(ctx, stream, want)
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	floor, known := s.depends.floor(want.Durable)
	next := last + 1
	if known {
		next = min(floor, last) + 1
	}
	want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = jetstream.DeliverByStartSequencePolicy, next, nil
	if err := create(ctx, stream, want); err != nil {
		if errors.Is(err, jetstream.ErrConsumerExists) {
			return nil // another service has created it
		}
		return err
	}
	s.depends.remade.Add(1)
	const message = "missing consumer of an app recreated"
	switch {
	case !known:
		s.log.Error(message+": earlier unacknowledged events are never delivered", "app", want.Durable, "begins", next, "lost_from", first, "lost_to", last)
	case next < first:
		s.log.Error(message+": unacknowledged events are gone from the stream", "app", want.Durable, "begins", first, "lost_from", next, "lost_to", first-1)
	default:
		s.log.Error(message+" at its last known ack floor: later events may be delivered twice", "app", want.Durable, "begins", next, "last", last)
	}
	return nil
}
