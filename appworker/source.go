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

// source is a stream from which the app's workers get post-events: that of the events, or that
// of the replays of dead letters.
type source struct {
	*worker
	stream   string
	ordered  bool
	lines    *lines
	wanting  chan struct{} // an event waits for another worker's
	begun    atomic.Int64  // how many events have begun and not ended
	done     atomic.Int64  // how many are done
	aged     chan struct{} // the floor is worth a look
	ended    chan struct{} // one has
	unburied bus.Outage    // of storing dead letters
	isCutOff bool          // receiving has failed; of receive only

	bound    atomic.Pointer[binding]
	guarding sync.WaitGroup // what goes on as long as events are in hand
}

// binding is the consumer as it was found.
type binding struct {
	consumer jetstream.Consumer
	made     time.Time
	ackWait  time.Duration
	since    atomic.Pointer[beginnings]
}

// beginnings are the types of events that the consumer has for its app, each with the sequence
// behind which they begin, where that was later than with others.
type beginnings map[room.EventType]uint64

// newSources are where the app's post-events come from.
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
		wanting: make(chan struct{}, 1), ended: make(chan struct{}, 1), aged: make(chan struct{}, 1),
	}
	return s
}

// bind looks the consumer up. From the first time on, the events in hand are kept.
func (s *source) bind(ctx context.Context) error {
	consumer, err := s.js.Consumer(ctx, s.stream, subjects.Durable(s.app.Manifest.ID))
	if err != nil {
		return fmt.Errorf("finding the app's consumer on %s: %w", s.stream, err)
	}
	info := consumer.CachedInfo()
	first := s.bound.Swap(&binding{consumer: consumer, made: info.Created, ackWait: info.Config.AckWait}) == nil
	s.learn(info)
	if first {
		s.guarding.Go(func() { s.keepLeases(s.stopping) })
		if s.ordered {
			return s.takeTurns(s.stopping)
		}
	}
	return nil
}

// look asks the server about the consumer.
func (s *source) look(ctx context.Context) {
	if info, err := s.bound.Load().consumer.Info(ctx); err == nil {
		s.learn(info)
	}
}

// learn takes what the server says of the consumer, and begins the events that waited for it.
func (s *source) learn(info *jetstream.ConsumerInfo) {
	since := make(beginnings)
	filters := append(slices.Clone(info.Config.FilterSubjects), info.Config.FilterSubject)
	for _, e := range room.EventTypes() {
		if slices.Contains(filters, subjects.PostsLike(e)) {
			since[e], _ = strconv.ParseUint(info.Config.Metadata[subjects.BehindKey(e)], 10, 64) // 0 if it is not there
		}
	}
	s.bound.Load().since.Store(&since)
	s.begin(s.lines.rise(floor{stream: info.AckFloor.Stream, delivery: info.AckFloor.Consumer}))
}

// leave gives what has not begun to other workers.
func (s *source) leave() {
	for _, d := range s.lines.drop(func(*delivery) bool { return true }) {
		_ = d.msg.Nak() // if it does not get through, it is given to another one later
	}
}

// read takes events until the context or the consumer ends. What has begun by then goes on.
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

// isBusy reports whether all handlers have something to do.
func (s *source) isBusy() bool { return int(s.begun.Load()) >= s.cfg.Concurrency }

// pullHeartbeat is half of how long it takes to notice that the consumer is gone.
const pullHeartbeat = 2 * time.Second

// pull takes events, as many ahead as there are handlers. It ends when those that have come have had
// to wait for handlers too long, as nobody tells JetStream about those: then they are taken in hand. So are those
// that have come when the context ends.
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
	var late <-chan time.Time
	for {
		for s.isBusy() && ctx.Err() == nil {
			if late == nil {
				late = time.After(s.unkept())
			}
			select {
			case <-s.ended:
			case <-late:
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
		if err := s.take(msg); err != nil {
			return err
		}
	}
}

// take puts an event in hand, and begins it if it is its turn.
func (s *source) take(msg jetstream.Msg) error {
	d, err := newDelivery(msg, s.stream == subjects.Replays)
	if err != nil {
		return err
	}
	if s.ordered && d.invalid == nil {
		if _, known := (*s.bound.Load().since.Load())[d.kind]; !known {
			s.look(s.stopping) // another version of the app gets more than this worker knew of
		}
		d.follow(*s.bound.Load().since.Load())
	} else {
		d.alone()
	}
	d.extend(time.Now().Add(s.lease() - s.unkept()))
	begin, what := s.lines.take(d)
	if what == isDone {
		return msg.Ack()
	}
	s.begin(begin)
	s.want()
	return nil
}

// want has it found out what events wait for, if some do.
func (s *source) want() {
	if !s.lines.isStuck() {
		return
	}
	signal(s.wanting)
}

// signal wakes who waits, or who will.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lease is how long an event is this worker's without a word to JetStream: less than JetStream
// waits before it gives it to another.
func (s *source) lease() time.Duration { return s.bound.Load().ackWait * 9 / 10 }

// unkept is how long an event may wait before it is taken in hand.
func (s *source) unkept() time.Duration { return s.bound.Load().ackWait / 10 }

// begin has events handled, once handlers are free. If none will be, since the worker stops,
// another worker may have them at once.
func (s *source) begin(all []*delivery) {
	for _, d := range all {
		s.begun.Add(1)
		if !s.pool.add(job{source: s, event: d}) {
			s.giveBack(d)
		}
	}
}

// run handles an event that has begun.
func (s *source) run(d *delivery) {
	if s.leaving.Err() != nil {
		s.giveBack(d)
		return
	}
	done := false
	defer func() { s.end(d, done) }() // also if the handler ends its goroutine
	done = s.handle(d)
}

// giveBack ends an event that has begun and that no handler has seen.
func (s *source) giveBack(d *delivery) {
	_ = d.msg.Nak() // if it does not get through, it is given to another one later
	s.end(d, false)
}

// lookEvery is after how many events that are done the floor is looked at, so that they are
// forgotten.
const lookEvery = 5000

// end takes an event out of hand, and begins the one behind it.
func (s *source) end(d *delivery, done bool) {
	s.begun.Add(-1)
	signal(s.ended)
	if done && s.done.Add(1)%lookEvery == 0 {
		signal(s.aged)
	}
	begin, answered := s.lines.end(d, done)
	s.answer(answered)
	s.begin(begin)
	s.want()
}
