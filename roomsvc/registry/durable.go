package registry

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Bounds of an app's consumers.
const (
	durableAckWait    = 30 * time.Second // then an event without ack or progress is redelivered
	durableAckPending = 1000             // events delivered and not yet acknowledged
)

// eventsDurable is the configuration of the consumer that delivers post-events to the app's
// workers. Its filters are those of the implemented interfaces.
func eventsDurable(m room.Manifest) jetstream.ConsumerConfig {
	c := durable(m)
	c.Description = subjects.DurableDescription(m.ID)
	c.FilterSubjects = postFilters(m)
	switch m.Deliver {
	case room.DeliverAll:
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	case room.DeliverSince:
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, m.DeliverSince
	default:
		c.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	return c
}

// replaysDurable is the configuration of the consumer that delivers replayed dead letters to the
// app's workers.
func replaysDurable(m room.Manifest) jetstream.ConsumerConfig {
	c := durable(m)
	c.Description = "dead letters that the workers of app " + m.ID + " get again"
	c.FilterSubjects = []string{subjects.ReplaysOf(m.ID)}
	return c
}

// durable is the common configuration of an app's consumers. On its last delivery a worker writes
// an event as a dead letter without handling it: the workers that got the earlier deliveries died
// before they could report.
func durable(m room.Manifest) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       subjects.Durable(m.ID),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       durableAckWait,
		MaxAckPending: durableAckPending,
		MaxDeliver:    m.Deliveries(),
	}
}

func postFilters(m room.Manifest) []string {
	var filters []string
	for _, i := range m.Implements {
		if !i.Pre() {
			filters = append(filters, subjects.PostsLike(i.Event()))
		}
	}
	return filters
}

func filtersOf(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

func beginsAlike(a, b jetstream.ConsumerConfig) bool {
	same := a.OptStartTime == nil && b.OptStartTime == nil
	if a.OptStartTime != nil && b.OptStartTime != nil {
		same = a.OptStartTime.Equal(*b.OptStartTime)
	}
	return same && a.DeliverPolicy == b.DeliverPolicy
}

// begins returns the time of the first event that a consumer created at that time gets.
func begins(c jetstream.ConsumerConfig, made time.Time) time.Time {
	switch {
	case c.DeliverPolicy == jetstream.DeliverAllPolicy:
		return time.Time{}
	case c.OptStartTime != nil:
		return *c.OptStartTime
	}
	return made
}

// beginsLater lists the types of events that the update adds to a consumer.
func beginsLater(is, want jetstream.ConsumerConfig) []room.EventType {
	had := filtersOf(is)
	return slices.DeleteFunc(room.EventTypes(), func(e room.EventType) bool {
		filter := subjects.PostsLike(e)
		return !slices.Contains(want.FilterSubjects, filter) || slices.Contains(had, filter)
	})
}
