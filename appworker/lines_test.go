package appworker

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// consumerModel models the order of deliveries of a consumer on the server.
type consumerModel struct {
	events   []*delivery // by sequence, from 1
	next     int         // index of the first event that has not been delivered
	pending  map[uint64]uint64
	attempts map[uint64]uint64
	again    []uint64 // to be redelivered
	number   uint64   // of deliveries
}

func (c *consumerModel) floor() ackFloor {
	f := ackFloor{stream: uint64(c.next), consumer: c.number}
	for seq, number := range c.pending {
		f.stream, f.consumer = min(f.stream, seq-1), min(f.consumer, number-1)
	}
	return f
}

// deliver returns the next delivery, or nil if there is none.
func (c *consumerModel) deliver() *delivery {
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
	d := &delivery{line: of.line, seq: seq, previous: of.previous, attempt: c.attempts[seq]}
	if d.attempt == 1 {
		d.consumerSeq, c.pending[seq] = c.number, c.number
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
			server.events = append(server.events, &delivery{line: room, previous: latest[room]})
			latest[room] = seq + 1
		}
		type worker struct {
			*lines
			running []*delivery
		}
		workers := []*worker{{lines: newLines()}, {lines: newLines()}, {lines: newLines()}}
		handling := make(map[string]uint64)
		begin := func(w *worker, all []*delivery) {
			for _, d := range all {
				require.Zero(t, handling[d.line], "an event of %s is being handled, %d begins", d.line, d.seq)
				require.Zero(t, server.pending[d.previous], "%d begins before %d is done", d.seq, d.previous)
				handling[d.line] = d.seq
				w.running = append(w.running, d)
			}
		}
		end := func(w *worker, done bool) {
			if len(w.running) == 0 {
				return
			}
			d := w.running[0]
			w.running = w.running[1:]
			delete(handling, d.line)
			if done {
				delete(server.pending, d.seq)
			} else {
				server.redeliver(d.seq)
			}
			more, answered := w.end(d, done)
			for _, q := range answered {
				n, _ := strconv.Atoi(q.reply)
				begin(workers[n], workers[n].markDone(q.room, q.seq))
			}
			begin(w, more)
		}
		deliver := func(w *worker) {
			if d := server.deliver(); d != nil {
				more, result := w.add(d)
				if result == alreadyDone {
					delete(server.pending, d.seq)
				}
				begin(w, more)
			}
		}
		ask := func(w *worker) {
			for _, q := range w.openQueries() {
				q.reply = strconv.Itoa(slices.Index(workers, w))
				for _, o := range workers {
					if o == w {
						continue
					}
					if done, held := o.lookup(q); done {
						begin(w, w.markDone(q.room, q.seq))
					} else if held {
						w.markHeld(q.room, q.seq)
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
				begin(w, w.setFloor(server.floor()))
			case "die":
				for _, d := range w.held() {
					if handling[d.line] == d.seq && slices.Contains(w.running, d) {
						delete(handling, d.line)
					}
					server.redeliver(d.seq)
				}
				workers[slices.Index(workers, w)] = &worker{lines: newLines()}
			}
		}
		for range 10 * len(server.events) {
			for _, w := range workers {
				deliver(w)
				ask(w)
				begin(w, w.setFloor(server.floor()))
				end(w, true)
			}
		}
		require.Empty(t, slices.Collect(maps.Keys(server.pending)), "events wait for ever")
		require.Equal(t, len(server.events), server.next)
		for _, w := range workers {
			w.setFloor(server.floor())
			require.Empty(t, w.rooms, "done events are deleted")
		}
	})
}

// If an operator resets the consumer, events that are done are delivered and handled again.
func TestLines_ResetConsumerRedeliversDoneEvents(t *testing.T) {
	t.Parallel()
	l := newLines()
	for _, seq := range []uint64{1, 2} {
		begin, _ := l.add(&delivery{line: "r", seq: seq, previous: seq - 1, attempt: 1, consumerSeq: seq})
		require.Len(t, begin, 1)
		l.end(begin[0], true)
	}
	_, result := l.add(&delivery{line: "r", seq: 2, previous: 1, attempt: 2})
	require.Equal(t, alreadyDone, result, "an ack was lost")
	l.setFloor(ackFloor{})
	begin, result := l.add(&delivery{line: "r", seq: 1, attempt: 1, consumerSeq: 1})
	require.Equal(t, added, result)
	require.Len(t, begin, 1)
	waits, _ := l.add(&delivery{line: "r", seq: 2, previous: 1, attempt: 1, consumerSeq: 2})
	require.Empty(t, waits)
	waits, _ = l.end(begin[0], false)
	require.Empty(t, waits, "the previous event must be done again")
	begin, _ = l.add(&delivery{line: "r", seq: 1, attempt: 2})
	begin, _ = l.end(begin[0], true)
	require.Len(t, begin, 1)
}

// A done event implies nothing about earlier events: a worker of an earlier version may have passed
// some over.
func TestLines_DoneEventImpliesNothingAboutEarlierEvents(t *testing.T) {
	t.Parallel()
	l := newLines()
	begin, _ := l.add(&delivery{line: "r", seq: 3, previous: 0, attempt: 1, consumerSeq: 3})
	require.Len(t, begin, 1)
	l.end(begin[0], true)
	for seq, want := range map[uint64]bool{3: true, 2: false} {
		done, _ := l.lookup(query{room: "r", seq: seq})
		require.Equal(t, want, done, seq)
	}
	begin, result := l.add(&delivery{line: "r", seq: 2, attempt: 2})
	require.Equal(t, added, result)
	require.Len(t, begin, 1)
}

// An event that reached its max deliveries keeps the ack floor down, and no worker holds it. The next
// event waits for it as long as a worker holds it, and then until patience ends.
func TestLines_EventBeginsWhenPatienceEnds(t *testing.T) {
	t.Parallel()
	l := newLines()
	l.patience = -1
	begin, _ := l.add(&delivery{line: "s", seq: 9, previous: 8, attempt: 1, consumerSeq: 9})
	require.Len(t, begin, 1)
	require.True(t, begin[0].unordered)

	l.patience = time.Hour
	begin, _ = l.add(&delivery{line: "r", seq: 5, previous: 4, attempt: 1, consumerSeq: 5})
	require.Empty(t, begin)
	require.Empty(t, l.setFloor(ackFloor{stream: 1, consumer: 1}))
	held := l.held()
	waiting := held[slices.IndexFunc(held, func(d *delivery) bool { return d.line == "r" })]
	waiting.blockedSince = waiting.blockedSince.Add(-2 * time.Hour)
	l.markHeld("r", 3)
	l.markHeld("r", 4)
	require.Empty(t, l.setFloor(ackFloor{stream: 1, consumer: 1}), "a worker holds it")
	waiting.blockedSince = waiting.blockedSince.Add(-2 * time.Hour)
	require.Len(t, l.setFloor(ackFloor{stream: 1, consumer: 1}), 1)

	other := newLines()
	other.add(&delivery{line: "r", seq: 4, attempt: 1, consumerSeq: 4})
	done, holds := other.lookup(query{room: "r", seq: 4})
	require.False(t, done)
	require.True(t, holds)
}
