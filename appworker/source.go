package appworker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// source is a stream that delivers post-events to the app's workers: the stream of events, or the
// stream of replayed dead letters.
type source struct {
	*worker
	stream           string
	ordered          bool
	lines            *lines
	blocked          chan struct{} // signals that a line is blocked
	running          atomic.Int64  // number of events that have begun and not ended
	done             atomic.Int64  // number of events done
	floorStale       chan struct{} // signals that the ack floor should be refreshed
	ended            chan struct{} // signals that an event has ended
	deadLetterOutage bus.Outage    // storing dead letters fails
	failing          bool          // receiving fails; used by receive only

	bound      atomic.Pointer[binding]
	background sync.WaitGroup // goroutines that run while events are in flight
}

// binding is the consumer found by bind.
type binding struct {
	consumer jetstream.Consumer
	created  time.Time
	ackWait  time.Duration
	from     atomic.Pointer[filterStart]
}

// filterStart has the event types of the consumer's filters. The value is the stream sequence after which
// the consumer delivers the type, or 0 if the type was in the filter from the start.
type filterStart map[room.EventType]uint64

// newSources returns the sources of the app's post-events.
func (w *worker) newSources() []*source {
	if len(w.app.tells) == 0 {
		return nil
	}
	return []*source{w.newSource(subjects.Events), w.newSource(subjects.Replays)}
}

func (w *worker) newSource(stream string) *source {
	s := &source{
		worker: w, stream: stream, lines: newLines(),
		ordered: stream == subjects.Events && !w.app.Manifest.Unordered,
		blocked: make(chan struct{}, 1), ended: make(chan struct{}, 1), floorStale: make(chan struct{}, 1),
	}
	return s
}

// bind looks up the consumer. The first call starts the goroutines that keep leases and serve peers.
func (s *source) bind(ctx context.Context) error {
	consumer, err := s.js.Consumer(ctx, s.stream, subjects.Durable(s.app.Manifest.ID))
	if err != nil {
		return fmt.Errorf("finding the app's consumer on %s: %w", s.stream, err)
	}
	info := consumer.CachedInfo()
	first := s.bound.Swap(&binding{consumer: consumer, created: info.Created, ackWait: info.Config.AckWait}) == nil
	s.apply(info)
	if first {
		s.background.Go(func() { s.keepLeases(s.stopping) })
		if s.ordered {
			return s.servePeers(s.stopping)
		}
	}
	return nil
}

// refresh requests the consumer's info from the server and applies it.
func (s *source) refresh(ctx context.Context) {
	if info, err := s.bound.Load().consumer.Info(ctx); err == nil {
		s.apply(info)
	}
}

// apply takes the filters and the ack floor from the info, and begins the events that may begin now.
func (s *source) apply(info *jetstream.ConsumerInfo) {
	from := make(filterStart)
	filters := append(slices.Clone(info.Config.FilterSubjects), info.Config.FilterSubject)
	for _, e := range room.EventTypes() {
		if slices.Contains(filters, subjects.PostsLike(e)) {
			from[e], _ = strconv.ParseUint(info.Config.Metadata[subjects.BehindKey(e)], 10, 64) // 0 if absent
		}
	}
	s.bound.Load().from.Store(&from)
	s.begin(s.lines.setFloor(ackFloor{stream: info.AckFloor.Stream, consumer: info.AckFloor.Consumer}))
}

// nakWaiting returns the events that have not begun to the consumer, for other workers.
func (s *source) nakWaiting() {
	for _, d := range s.lines.drop(func(*delivery) bool { return true }) {
		_ = d.msg.Nak() // if the nak is lost, the event is redelivered after the ack wait
	}
}

// read receives events until the context or the consumer ends. Events that have begun continue.
func (s *source) read(ctx context.Context) error {
	for ctx.Err() == nil {
		if s.isBusy() {
			select {
			case <-s.ended:
			case <-ctx.Done():
			}
			continue
		}
		if err := s.pull(ctx); err != nil {
			return fmt.Errorf("receiving from %s: %w", s.stream, err)
		}
	}
	return nil
}

// isBusy reports whether all handlers are in use.
func (s *source) isBusy() bool { return int(s.running.Load()) >= s.cfg.Concurrency }

// pullHeartbeat is half of the time after which a missing consumer is noticed.
const pullHeartbeat = 2 * time.Second

// pull receives events and prefetches up to Concurrency more. Prefetched events have no lease that is
// renewed. Therefore, if no handler becomes free within prefetchGrace, pull adds the prefetched events to
// their lines and returns. It does the same when the context ends.
func (s *source) pull(ctx context.Context) error {
	ahead := s.cfg.Concurrency
	messages, err := s.bound.Load().consumer.Messages(jetstream.PullMaxMessages(ahead),
		jetstream.PullThresholdMessages(max(1, ahead*3/4)), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return err
	}
	defer messages.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, messages.Drain)()
	var graceOver <-chan time.Time
	for {
		for s.isBusy() && ctx.Err() == nil {
			if graceOver == nil {
				graceOver = time.After(s.prefetchGrace())
			}
			select {
			case <-s.ended:
			case <-graceOver:
				cancel()
			case <-ctx.Done():
			}
		}
		msg, err := messages.Next()
		switch {
		case errors.Is(err, nats.ErrConnectionClosed):
			return err
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case err != nil:
			return err
		}
		if err := s.add(msg); err != nil {
			return err
		}
	}
}

// add adds an event to its line, and begins the event if it may begin.
func (s *source) add(msg jetstream.Msg) error {
	d, err := newDelivery(msg, s.stream == subjects.Replays)
	if err != nil {
		return err
	}
	if s.ordered && d.invalid == nil {
		if _, known := (*s.bound.Load().from.Load())[d.kind]; !known {
			s.refresh(s.stopping) // another version of the app has widened the filters
		}
		d.roomLine(*s.bound.Load().from.Load())
	} else {
		d.ownLine()
	}
	d.extendLease(time.Now().Add(s.lease() - s.prefetchGrace()))
	begin, result := s.lines.add(d)
	if result == alreadyDone {
		return msg.Ack()
	}
	s.begin(begin)
	s.signalBlocked()
	return nil
}

// signalBlocked wakes the goroutine that resolves blocked lines, if there are any.
func (s *source) signalBlocked() {
	if !s.lines.anyBlocked() {
		return
	}
	signal(s.blocked)
}

// signal wakes the receiver, now or when it next receives. It does not block.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lease is how long this worker owns an event after a delivery or a renewal. It is shorter than the ack
// wait, after which JetStream redelivers the event.
func (s *source) lease() time.Duration { return s.bound.Load().ackWait * 9 / 10 }

// prefetchGrace is how long a prefetched event may wait before it is added to its line.
func (s *source) prefetchGrace() time.Duration { return s.bound.Load().ackWait / 10 }

// begin queues events for the handlers. If the worker is stopping, it returns them to the consumer.
func (s *source) begin(all []*delivery) {
	for _, d := range all {
		s.running.Add(1)
		if !s.pool.add(job{source: s, event: d}) {
			s.giveBack(d)
		}
	}
}

// run handles an event that has begun.
func (s *source) run(d *delivery) {
	if s.draining.Err() != nil {
		s.giveBack(d)
		return
	}
	done := false
	defer func() { s.end(d, done) }() // also if the handler calls runtime.Goexit
	done = s.handle(d)
}

// giveBack returns an event that has begun to the consumer, before its handler has run.
func (s *source) giveBack(d *delivery) {
	_ = d.msg.Nak() // if the nak is lost, the event is redelivered after the ack wait
	s.end(d, false)
}

// refreshEvery is the number of done events after which the ack floor is refreshed. The lines keep each
// done event until the floor has passed it.
const refreshEvery = 5000

// end removes an event from its line, and begins the next one.
func (s *source) end(d *delivery, done bool) {
	s.running.Add(-1)
	signal(s.ended)
	if done && s.done.Add(1)%refreshEvery == 0 {
		signal(s.floorStale)
	}
	begin, answered := s.lines.end(d, done)
	s.answer(answered)
	s.begin(begin)
	s.signalBlocked()
}
