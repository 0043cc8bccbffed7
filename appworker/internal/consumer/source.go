package consumer

import (
	"sync"
	"sync/atomic"

	"github.com/roombus/roombus/appworker/internal/ordering"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// source is a stream that delivers post-events to the app's workers: the stream of events, or the
// stream of replayed dead letters.
type source struct {
	c       *Consumer
	cfg     *Config
	stream  string
	ordered bool
	lines   *ordering.Lines[*delivery]
	peers   *ordering.Peers[*delivery]

	running    atomic.Int64  // number of events that have begun and not ended
	done       atomic.Int64  // number of events done
	floorStale chan struct{} // signals that the ack floor should be refreshed
	ended      chan struct{} // signals that an event has ended

	deadLetterOutage bus.Outage // storing dead letters fails
	failing          bool       // receiving fails; used by receive only

	bound      atomic.Pointer[binding]
	background sync.WaitGroup // goroutines that run while events are in flight
}

func newSource(c *Consumer, stream string) *source {
	s := &source{
		c: c, cfg: &c.cfg, stream: stream, ordered: stream == subjects.Events && !c.cfg.Manifest.Unordered,
		lines: ordering.New[*delivery](),
		ended: make(chan struct{}, 1), floorStale: make(chan struct{}, 1),
	}
	s.peers = ordering.NewPeers(ordering.PeersConfig[*delivery]{
		Conn: c.cfg.Conn, Subject: subjects.Turn(c.cfg.Manifest.ID), ReplyPrefixes: c.cfg.ReplyPrefixes,
		Lines: s.lines, Begin: s.begin, Refresh: s.refresh,
	})
	return s
}

// nakWaiting returns the events that have not begun to the consumer, for other workers.
func (s *source) nakWaiting() {
	for _, d := range s.lines.Drop(func(*delivery) bool { return true }) {
		_ = d.msg.Nak() // if the nak is lost, the event is redelivered after the ack wait
	}
}

// signal wakes the receiver, now or when it next receives. It does not block.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// begin queues events for the handlers. If the worker is stopping, it returns them to the consumer.
func (s *source) begin(all []*delivery) {
	for _, d := range all {
		s.running.Add(1)
		if !s.c.pool.add(job{source: s, event: d}) {
			s.giveBack(d)
		}
	}
}

// run handles an event that has begun.
func (s *source) run(d *delivery) {
	if s.c.draining.Err() != nil {
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
	begin, answered := s.lines.End(d, done)
	s.peers.Answer(answered, d.Attempt)
	s.begin(begin)
	s.peers.Wake()
}
