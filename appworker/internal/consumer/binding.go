package consumer

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/appworker/internal/ordering"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

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

// bind looks up the consumer. The first call starts the goroutines that keep leases and serve peers.
func (s *source) bind(ctx context.Context) error {
	consumer, err := s.c.js.Consumer(ctx, s.stream, subjects.Durable(s.cfg.Manifest.ID))
	if err != nil {
		return fmt.Errorf("finding the app's consumer on %s: %w", s.stream, err)
	}
	info := consumer.CachedInfo()
	first := s.bound.Swap(&binding{consumer: consumer, created: info.Created, ackWait: info.Config.AckWait}) == nil
	s.apply(info)
	if first {
		s.background.Go(func() { s.keepLeases(s.c.stopping) })
		if s.ordered {
			return s.servePeers()
		}
	}
	return nil
}

func (s *source) servePeers() error {
	if err := s.peers.Subscribe(); err != nil {
		return err
	}
	s.background.Go(func() { s.peers.Run(s.c.stopping) })
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
	s.begin(s.lines.SetFloor(ordering.Floor{Stream: info.AckFloor.Stream, Consumer: info.AckFloor.Consumer}))
}

// leaseTime is how long this worker owns an event after a delivery or a renewal. It is shorter than the ack
// wait, after which JetStream redelivers the event.
func (b *binding) leaseTime() time.Duration { return b.ackWait * 9 / 10 }

// prefetchGrace is how long a prefetched event may wait before it is added to its line.
func (b *binding) prefetchGrace() time.Duration { return b.ackWait / 10 }
