package fault_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// requireDelivered waits until every app has handled its events. It checks that the workers have handled
// every event of their interfaces, in order within each room, and that there are no dead letters.
func (s *stage) requireDelivered(t *testing.T, events []room.Event) {
	t.Helper()
	for app, m := range apps() {
		s.bus.RequireDrained(t, app)
		due := slices.DeleteFunc(slices.Clone(events), func(e room.Event) bool {
			return !slices.ContainsFunc(m.Implements, func(i room.Interface) bool { return !i.Pre() && i.Event() == e.Type })
		})
		again := requireInOrder(t, app, due, s.records.handled(t, app))
		t.Logf("%s has handled %d events, and handled again: %+v", app, len(due), again)
	}
	for _, letter := range s.bus.Stored(t, subjects.DeadLetters) {
		assert.Fail(t, "no handler fails, and yet there is a dead letter", "%s: %v", letter.Subject, letter.Header)
	}
}

// repetitions counts the events that were handled again. Late counts those that were handled again
// after a later event of their room: the first ack did not arrive, or the killed server lost it, or
// a worker was stopped in the middle and continued after another had finished the event. Alike
// counts the events that one process has handled twice.
type repetitions struct{ All, Late, Alike int }

// requireInOrder checks that every due event was handled, after all events before it in its room.
func requireInOrder(t *testing.T, app string, due []room.Event, handled []handling) (again repetitions) {
	t.Helper()
	events := make(map[string]room.Event, len(due))
	for _, e := range due {
		events[e.ID] = e
	}
	by := make(map[string][]string)       // processes, by event
	latest := make(map[string]room.Event) // by room
	for _, h := range handled {
		e, is := events[h.event]
		if !assert.True(t, is, "%s was told of %s, which is no event", app, h.event) {
			continue
		}
		last := latest[e.Room]
		switch before := by[e.ID]; {
		case len(before) > 0:
			again.All++
			if e.Seq < last.Seq {
				again.Late++
			}
			if slices.Contains(before, h.process) {
				again.Alike++
			}
		case e.Seq < last.Seq:
			assert.Fail(t, "out of order", "%s has handled event %d of room %s after event %d", app, e.Seq, e.Room, last.Seq)
		default:
			latest[e.Room] = e
		}
		by[e.ID] = append(by[e.ID], h.process)
	}
	for _, e := range due {
		assert.NotEmpty(t, by[e.ID], "%s was never told of event %d, a %s", app, e.Seq, e.Type)
	}
	return again
}
