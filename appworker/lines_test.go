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

// consumerModel is a consumer on the server, as far as order is concerned.
type consumerModel struct {
	events   []*delivery // by sequence, from 1
	next     int         // the first that has not been delivered
	pending  map[uint64]uint64
	attempts map[uint64]uint64
	again    []uint64 // to be delivered again
	number   uint64   // of deliveries
}

func (c *consumerModel) floor() floor {
	f := floor{stream: uint64(c.next), delivery: c.number}
	for seq, number := range c.pending {
		f.stream, f.delivery = min(f.stream, seq-1), min(f.delivery, number-1)
	}
	return f
}

// deliver is the next delivery, nil if there is none.
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
		d.number, c.pending[seq] = c.number, c.number
	}
	return d
}

func (c *consumerModel) redeliver(seq uint64) {
	if c.pending[seq] > 0 && !slices.Contains(c.again, seq) {
		c.again = append(c.again, seq)
	}
}

// Whatever becomes of events and workers, an event begins when the one before it in its room is
// acknowledged and nobody handles another one of the room; and in the end all are handled.
func TestLinesKeepTheOrder(t *testing.T) {
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
				begin(workers[n], workers[n].told(q.room, q.seq))
			}
			begin(w, more)
		}
		deliver := func(w *worker) {
			if d := server.deliver(); d != nil {
				more, what := w.take(d)
				if what == isDone {
					delete(server.pending, d.seq)
				}
				begin(w, more)
			}
		}
		ask := func(w *worker) {
			for _, q := range w.questions() {
				q.reply = strconv.Itoa(slices.Index(workers, w))
				for _, o := range workers {
					if o == w {
						continue
					}
					if done, here := o.asked(q); done {
						begin(w, w.told(q.room, q.seq))
					} else if here {
						w.heard(q.room, q.seq)
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
				begin(w, w.rise(server.floor()))
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
				begin(w, w.rise(server.floor()))
				end(w, true)
			}
		}
		require.Empty(t, slices.Collect(maps.Keys(server.pending)), "events wait for ever")
		require.Equal(t, len(server.events), server.next)
		for _, w := range workers {
			w.rise(server.floor())
			require.Empty(t, w.rooms, "what is done is forgotten")
		}
	})
}

// A consumer that an operator has set back delivers what was done once more, and it is handled.
func TestLinesBeginAnewWithTheConsumer(t *testing.T) {
	t.Parallel()
	l := newLines()
	for _, seq := range []uint64{1, 2} {
		begin, _ := l.take(&delivery{line: "r", seq: seq, previous: seq - 1, attempt: 1, number: seq})
		require.Len(t, begin, 1)
		l.end(begin[0], true)
	}
	_, what := l.take(&delivery{line: "r", seq: 2, previous: 1, attempt: 2})
	require.Equal(t, isDone, what, "an ack was lost")
	l.rise(floor{})
	begin, what := l.take(&delivery{line: "r", seq: 1, attempt: 1, number: 1})
	require.Equal(t, taken, what)
	require.Len(t, begin, 1)
	waits, _ := l.take(&delivery{line: "r", seq: 2, previous: 1, attempt: 1, number: 2})
	require.Empty(t, waits)
	waits, _ = l.end(begin[0], false)
	require.Empty(t, waits, "it was done before, and is to be done again")
	begin, _ = l.take(&delivery{line: "r", seq: 1, attempt: 2})
	begin, _ = l.end(begin[0], true)
	require.Len(t, begin, 1)
}

// That an event is done says nothing of those before it: a worker of an earlier version may have
// passed some over.
func TestLinesKnowWhatIsDoneOneByOne(t *testing.T) {
	t.Parallel()
	l := newLines()
	begin, _ := l.take(&delivery{line: "r", seq: 3, previous: 0, attempt: 1, number: 3})
	require.Len(t, begin, 1)
	l.end(begin[0], true)
	for seq, want := range map[uint64]bool{3: true, 2: false} {
		done, _ := l.asked(question{room: "r", seq: seq})
		require.Equal(t, want, done, seq)
	}
	begin, what := l.take(&delivery{line: "r", seq: 2, attempt: 2})
	require.Equal(t, taken, what)
	require.Len(t, begin, 1)
}

// What the server has given up moves no floor, and nobody knows of it: an event does not wait for
// it for ever, but as long as somebody has it.
func TestLinesLosePatience(t *testing.T) {
	t.Parallel()
	l := newLines()
	l.patience = -1
	begin, _ := l.take(&delivery{line: "s", seq: 9, previous: 8, attempt: 1, number: 9})
	require.Len(t, begin, 1)
	require.True(t, begin[0].blind)

	l.patience = time.Hour
	begin, _ = l.take(&delivery{line: "r", seq: 5, previous: 4, attempt: 1, number: 5})
	require.Empty(t, begin)
	require.Empty(t, l.rise(floor{stream: 1, delivery: 1}))
	held := l.held()
	waiting := held[slices.IndexFunc(held, func(d *delivery) bool { return d.line == "r" })]
	waiting.stuck = waiting.stuck.Add(-2 * time.Hour)
	l.heard("r", 3)
	l.heard("r", 4)
	require.Empty(t, l.rise(floor{stream: 1, delivery: 1}), "somebody has it")
	waiting.stuck = waiting.stuck.Add(-2 * time.Hour)
	require.Len(t, l.rise(floor{stream: 1, delivery: 1}), 1)

	other := newLines()
	other.take(&delivery{line: "r", seq: 4, attempt: 1, number: 4})
	done, here := other.asked(question{room: "r", seq: 4})
	require.False(t, done)
	require.True(t, here)
}
