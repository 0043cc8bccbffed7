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

// dependencies is what the service has found out about what it depends on in JetStream and does not change
// itself: operators may, and servers may lose it.
type dependencies struct {
	misconfigured atomic.Uint64 // streams, as of the last look
	missing       atomic.Uint64 // events of live rooms, likewise
	remade        atomic.Uint64 // consumers of apps

	logged map[string][]string // what has been logged of a finding, by its message; of the one who looks only
	mu     sync.Mutex
	floors map[string]uint64 // the last known ack floor of an app's consumer of post-events, by app
}

// checkDependencies looks at the streams and at the consumers of apps now and then until the context ends.
func (s *Service) checkDependencies(ctx context.Context) {
	for {
		s.checkStreams(ctx)
		s.checkEvents(ctx)
		s.checkConsumers(ctx)
		if !sleep(ctx, s.cfg.StreamCheck) {
			return
		}
	}
}

// finding logs what is amiss: an error when something comes to it, information when something goes.
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

// checkStreams compares the streams that a guarantee rests on with how they must be. What cannot be looked at now
// stays as it was found.
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

// checkEvents looks whether the stream has all events of the live rooms. Only the histories of deleted rooms are
// ever removed, so whatever is missing has been purged, deleted, or removed by a limit.
func (s *Service) checkEvents(ctx context.Context) {
	var missing uint64
	for range 2 { // a room may be deleted and its history removed between the two looks
		events, due := s.projection.liveEvents(0)
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		info, err := s.stream.Info(look)
		cancel()
		if err != nil || info.State.LastSeq < due || !info.Created.Equal(s.projection.created()) {
			return // it is another stream, or its end is lost: reading it finds that
		}
		before, _ := s.projection.liveEvents(info.State.FirstSeq)
		missing = before
		if events > info.State.Msgs {
			missing = max(missing, events-info.State.Msgs)
		}
		if missing == 0 {
			break
		}
	}
	s.depends.missing.Store(missing)
	var found []string
	if missing > 0 {
		found = []string{"events of live rooms were purged, deleted, or removed by a limit"}
	}
	s.depends.finding(s, "the stream lacks events of rooms", found, "stream", subjects.Events, "missing", missing,
		"remedy", "restore the stream from a backup")
}

// liveEvents is how many events the live rooms have, and the highest sequence of them: of all rooms, or of those
// whose last event is before the sequence.
func (p *projection) liveEvents(before uint64) (events, last uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	p.live.Scan(func(_ string, s *room.State) bool {
		if before == 0 || s.Seq < before {
			events += s.Room.Version
		}
		last = max(last, s.Seq)
		return true
	})
	return events, last
}

// checkConsumers remembers how far the apps have acknowledged their post-events, and makes consumers that are
// missing again.
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
	if len(missing) == 0 || !sleep(ctx, s.cfg.AckWait) { // an app that is being removed is gone by then
		return
	}
	for _, m := range missing {
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		if r, ok := s.apps.get(m.ID); ok && s.apps.syncedRevision() > 0 && r.HasPost() {
			if err := s.prepareDurables(look, r.Manifest, &r); err != nil && !s.isUnavailable() {
				s.log.Warn("cannot make the consumers of an app again; trying again", "app", m.ID, "error", err)
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

// forget forgets how far an app has acknowledged: it is registered for the first time, or removed.
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

// remake makes the consumer of a registered app that is missing. That of post-events goes on behind the last known
// ack floor; if that is not known, with what happens from now on. Of the events in between it logs which come
// again and which never come.
func (s *Service) remake(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at the stream of consumer %s: %w", want.Durable, err)
	}
	if info.Config.Name != subjects.Events { // a work queue still has what is not acknowledged
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
			return nil // another service has made it
		}
		return err
	}
	s.depends.remade.Add(1)
	const message = "the consumer of an app was missing and is made again"
	switch {
	case !known:
		s.log.Error(message+": the events before that it had not acknowledged never come", "app", want.Durable, "begins", next, "never_come_from", first, "never_come_to", last)
	case next < first:
		s.log.Error(message+": events that it had not acknowledged are gone", "app", want.Durable, "begins", first, "never_come_from", next, "never_come_to", first-1)
	default:
		s.log.Error(message+" from its last known ack floor: events since may come twice", "app", want.Durable, "begins", next, "last", last)
	}
	return nil
}
