package ordering_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/appworker/internal/ordering"
)

// consumerModel models the order of deliveries of a consumer on the server.
type consumerModel struct {
	events   []*ordering.Position // by sequence, from 1
	next     int                  // index of the first event that has not been delivered
	pending  map[uint64]uint64
	attempts map[uint64]uint64
	again    []uint64 // to be redelivered
	number   uint64   // of deliveries
}

func (c *consumerModel) floor() ordering.Floor {
	f := ordering.Floor{Stream: uint64(c.next), Consumer: c.number}
	for seq, number := range c.pending {
		f.Stream, f.Consumer = min(f.Stream, seq-1), min(f.Consumer, number-1)
	}
	return f
}

// deliver returns the next delivery, or nil if there is none.
func (c *consumerModel) deliver() *ordering.Position {
	var seq uint64
	switch {
	case len(c.again) > 0:
		seq, c.again = c.again[0], c.again[1:]
	case c.next < len(c.events):
		c.next++
		seq = uint64(c.next)
	default:
		return nil
	}
	c.number++
	c.attempts[seq]++
	of := c.events[seq-1]
	d := &ordering.Position{Line: of.Line, Seq: seq, Previous: of.Previous, Attempt: c.attempts[seq]}
	if d.Attempt == 1 {
		d.ConsumerSeq, c.pending[seq] = c.number, c.number
	}
	return d
}

func (c *consumerModel) redeliver(seq uint64) {
	if c.pending[seq] > 0 && !slices.Contains(c.again, seq) {
		c.again = append(c.again, seq)
	}
}

// For any sequence of deliveries, failures and deaths of workers: an event begins only if the previous
// event of its room is acknowledged and no worker handles another event of the room. In the end all
// events are handled.
func TestLines_KeepRoomOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		server := &consumerModel{pending: make(map[uint64]uint64), attempts: make(map[uint64]uint64)}
		latest := make(map[string]uint64)
		for seq := range rapid.Uint64Range(1, 30).Draw(t, "events") {
			room := "r" + strconv.Itoa(rapid.IntRange(1, 3).Draw(t, "room"))
			server.events = append(server.events, &ordering.Position{Line: room, Previous: latest[room]})
			latest[room] = seq + 1
		}
		type worker struct {
			*ordering.Lines[*ordering.Position]
			running []*ordering.Position
		}
		workers := []*worker{{Lines: ordering.New[*ordering.Position]()}, {Lines: ordering.New[*ordering.Position]()}, {Lines: ordering.New[*ordering.Position]()}}
		handling := make(map[string]uint64)
		begin := func(w *worker, all []*ordering.Position) {
			for _, d := range all {
				require.Zero(t, handling[d.Line], "an event of %s is being handled, %d begins", d.Line, d.Seq)
				require.Zero(t, server.pending[d.Previous], "%d begins before %d is done", d.Seq, d.Previous)
				handling[d.Line] = d.Seq
				w.running = append(w.running, d)
			}
		}
		end := func(w *worker, done bool) {
			if len(w.running) == 0 {
				return
			}
			d := w.running[0]
			w.running = w.running[1:]
			delete(handling, d.Line)
			if done {
				delete(server.pending, d.Seq)
			} else {
				server.redeliver(d.Seq)
			}
			more, answered := w.End(d, done)
			for _, q := range answered {
				n, _ := strconv.Atoi(q.Reply)
				begin(workers[n], workers[n].MarkDone(q.Room, q.Seq, d.Attempt))
			}
			begin(w, more)
		}
		deliver := func(w *worker) {
			if d := server.deliver(); d != nil {
				more, result := w.Add(d)
				if result == ordering.AlreadyDone {
					delete(server.pending, d.Seq)
				}
				begin(w, more)
			}
		}
		ask := func(w *worker) {
			for _, q := range w.OpenQueries() {
				q.Reply = strconv.Itoa(slices.Index(workers, w))
				for _, o := range workers {
					if o == w {
						continue
					}
					if k := o.Lookup(q); k.Done {
						begin(w, w.MarkDone(q.Room, q.Seq, k.Attempt))
					} else if k.Held {
						w.MarkHeld(q.Room, q.Seq)
					}
				}
			}
		}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			w := workers[rapid.IntRange(0, 2).Draw(t, "worker")]
			switch rapid.SampledFrom([]string{"deliver", "deliver", "done", "done", "fail", "ask", "floor", "die"}).Draw(t, "step") {
			case "deliver":
				deliver(w)
			case "done":
				end(w, true)
			case "fail":
				end(w, false)
			case "ask":
				ask(w)
			case "floor":
				begin(w, w.SetFloor(server.floor()))
			case "die":
				for _, d := range w.Held() {
					if handling[d.Line] == d.Seq && slices.Contains(w.running, d) {
						delete(handling, d.Line)
					}
					server.redeliver(d.Seq)
				}
				workers[slices.Index(workers, w)] = &worker{Lines: ordering.New[*ordering.Position]()}
			}
		}
		for range 10 * len(server.events) {
			for _, w := range workers {
				deliver(w)
				ask(w)
				begin(w, w.SetFloor(server.floor()))
				end(w, true)
			}
		}
		require.Empty(t, slices.Collect(maps.Keys(server.pending)), "events wait for ever")
		require.Equal(t, len(server.events), server.next)
		for _, w := range workers {
			w.SetFloor(server.floor())
			require.Zero(t, w.Used(), "done events are deleted")
		}
	})
}

// If an operator resets the consumer, events that are done are delivered and handled again.
func TestLines_ResetConsumerRedeliversDoneEvents(t *testing.T) {
	t.Parallel()
	l := ordering.New[*ordering.Position]()
	for _, seq := range []uint64{1, 2} {
		begin, _ := l.Add(&ordering.Position{Line: "r", Seq: seq, Previous: seq - 1, Attempt: 1, ConsumerSeq: seq})
		require.Len(t, begin, 1)
		l.End(begin[0], true)
	}
	_, result := l.Add(&ordering.Position{Line: "r", Seq: 2, Previous: 1, Attempt: 2})
	require.Equal(t, ordering.AlreadyDone, result, "an ack was lost")
	l.SetFloor(ordering.Floor{})
	begin, result := l.Add(&ordering.Position{Line: "r", Seq: 1, Attempt: 1, ConsumerSeq: 1})
	require.Equal(t, ordering.Added, result)
	require.Len(t, begin, 1)
	waits, _ := l.Add(&ordering.Position{Line: "r", Seq: 2, Previous: 1, Attempt: 1, ConsumerSeq: 2})
	require.Empty(t, waits)
	waits, _ = l.End(begin[0], false)
	require.Empty(t, waits, "the previous event must be done again")
	begin, _ = l.Add(&ordering.Position{Line: "r", Seq: 1, Attempt: 2})
	begin, _ = l.End(begin[0], true)
	require.Len(t, begin, 1)
}

// A done event implies nothing about earlier events: a worker of an earlier version may have passed
// some over.
func TestLines_DoneEventImpliesNothingAboutEarlierEvents(t *testing.T) {
	t.Parallel()
	l := ordering.New[*ordering.Position]()
	begin, _ := l.Add(&ordering.Position{Line: "r", Seq: 3, Previous: 0, Attempt: 1, ConsumerSeq: 3})
	require.Len(t, begin, 1)
	l.End(begin[0], true)
	for seq, want := range map[uint64]bool{3: true, 2: false} {
		require.Equal(t, want, l.Lookup(ordering.Query{Room: "r", Seq: seq}).Done, seq)
	}
	begin, result := l.Add(&ordering.Position{Line: "r", Seq: 2, Attempt: 2})
	require.Equal(t, ordering.Added, result)
	require.Len(t, begin, 1)
}

// An event that reached its max deliveries keeps the ack floor down, and no worker holds it. The next
// event waits for it as long as a worker holds it, and then until patience ends.
//
// The test uses synctest's fake clock.
func TestLines_EventBeginsWhenPatienceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const almost = 5*time.Minute - time.Second
		below := ordering.Floor{Stream: 1, Consumer: 1}
		l := ordering.New[*ordering.Position]()
		begin, _ := l.Add(&ordering.Position{Line: "r", Seq: 5, Previous: 4, Attempt: 1, ConsumerSeq: 5})
		require.Empty(t, begin)
		<-time.After(almost)
		require.Empty(t, l.SetFloor(below))
		l.MarkHeld("r", 4)
		<-time.After(almost)
		l.MarkHeld("r", 3) // it waits for another event
		require.Empty(t, l.SetFloor(below), "a worker holds it")
		<-time.After(2 * time.Second)
		begin = l.SetFloor(below)
		require.Len(t, begin, 1)
		require.True(t, begin[0].Unordered)
	})
}

// A worker reports an event as held as long as it is not done.
func TestLines_LookupFindsHeldEvent(t *testing.T) {
	t.Parallel()
	other := ordering.New[*ordering.Position]()
	other.Add(&ordering.Position{Line: "r", Seq: 4, Attempt: 1, ConsumerSeq: 4})
	require.Equal(t, ordering.Known{Held: true}, other.Lookup(ordering.Query{Room: "r", Seq: 4}))
}

// Workers died with an event, and with the next event of its room, which waited for it. The tries of the
// next event begin when the first is done, whichever of them arrives first, and at whichever worker.
func TestLines_EventBehindRedeliveredOneIsUntried(t *testing.T) {
	t.Parallel()
	const deliveries = 9
	first := func() *ordering.Position {
		return &ordering.Position{Line: "r", Seq: 4, Attempt: deliveries}
	}
	next := func() *ordering.Position {
		return &ordering.Position{Line: "r", Seq: 5, Previous: 4, Attempt: deliveries}
	}
	add := func(l *ordering.Lines[*ordering.Position], e *ordering.Position) []*ordering.Position {
		begin, _ := l.Add(e)
		return begin
	}
	for name, run := range map[string]func(l, other *ordering.Lines[*ordering.Position]) []*ordering.Position{
		"next arrives first": func(l, _ *ordering.Lines[*ordering.Position]) []*ordering.Position {
			add(l, next())
			begin, _ := l.End(add(l, first())[0], true)
			return begin
		},
		"next arrives after the first is done": func(l, _ *ordering.Lines[*ordering.Position]) []*ordering.Position {
			l.End(add(l, first())[0], true)
			l.SetFloor(ordering.Floor{Stream: 4})
			return add(l, next())
		},
		"next at another worker, which asks": func(l, other *ordering.Lines[*ordering.Position]) []*ordering.Position {
			add(l, next())
			other.End(add(other, first())[0], true)
			known := other.Lookup(l.OpenQueries()[0])
			return l.MarkDone("r", 4, known.Attempt)
		},
		"next at another worker, which is answered later": func(l, other *ordering.Lines[*ordering.Position]) []*ordering.Position {
			add(l, next())
			running := add(other, first())[0]
			other.Lookup(l.OpenQueries()[0])
			_, answered := other.End(running, true)
			require.Len(t, answered, 1)
			return l.MarkDone("r", answered[0].Seq, running.Attempt)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := run(ordering.New[*ordering.Position](), ordering.New[*ordering.Position]())
			require.Len(t, begin, 1)
			require.Equal(t, uint64(5), begin[0].Seq)
			require.Equal(t, uint64(deliveries-1), begin[0].Untried)
		})
	}
}

// A delivery at which the handler has run counts as a try, although an event before it was redelivered.
func TestLines_FailedEventBehindRedeliveredOneIsTried(t *testing.T) {
	t.Parallel()
	l := ordering.New[*ordering.Position]()
	begin, _ := l.Add(&ordering.Position{Line: "r", Seq: 4, Attempt: 3})
	l.End(begin[0], true)
	begin, _ = l.Add(&ordering.Position{Line: "r", Seq: 5, Previous: 4, Attempt: 1})
	l.End(begin[0], false)
	begin, _ = l.Add(&ordering.Position{Line: "r", Seq: 5, Previous: 4, Attempt: 2})
	require.Len(t, begin, 1)
	require.Zero(t, begin[0].Untried)
}

// A line that has nothing but a redelivered event is deleted after some seconds.
func TestLines_ForgetRedeliveredEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := ordering.New[*ordering.Position]()
		begin, _ := l.Add(&ordering.Position{Line: "r", Seq: 4, Attempt: 2})
		l.End(begin[0], true)
		l.SetFloor(ordering.Floor{Stream: 4})
		require.Equal(t, 1, l.Len())
		<-time.After(time.Minute)
		l.SetFloor(ordering.Floor{Stream: 4})
		require.Zero(t, l.Len())
	})
}
