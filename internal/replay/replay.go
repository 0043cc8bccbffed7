// Package replay feeds a trace of joins and leaves through a room service as commands.
package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roombus/roombus/internal/trace"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// Creator is the user who creates the rooms that appear in a trace.
const Creator = "replay"

// Config says how a trace is replayed.
type Config struct {
	Client *roomclient.Client
	// Concurrency bounds the commands sent at once. Commands of one room go one after the
	// other, in the order of the trace.
	Concurrency int
	// Limit ends the replay after so many commands; 0 is no limit.
	Limit int
	// Timeout is how long one command is tried. When the service has been away for so long,
	// the replay ends.
	Timeout time.Duration
	// Report is told of every bad row and every failed command. It is called from one
	// goroutine at a time.
	Report func(error)
}

// pending bounds the rows read ahead of the commands in progress.
const pending = 4096

// replay is one run.
type replay struct {
	cfg     Config
	summary *Summary
	free    chan struct{} // one for each row that may be read ahead
	slots   chan struct{} // one for each command that may be in progress
	done    sync.WaitGroup

	mu     sync.Mutex
	queues map[string]*queue
	away   error // why the replay has to end
	end    context.CancelFunc
}

// queue is the rows of one room that wait for their turn.
type queue struct {
	rows    []trace.Row
	running bool
	created bool
}

// Run replays the trace and returns what came of it. An error means that it ended early: the
// trace could not be read on, the service was away for too long, or the context ended. The
// summary is of what was done until then.
func Run(ctx context.Context, cfg Config, t *trace.Reader) (*Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &replay{
		cfg: cfg, summary: newSummary(), end: cancel,
		free: make(chan struct{}, pending), slots: make(chan struct{}, cfg.Concurrency),
		queues: make(map[string]*queue),
	}
	err := r.feed(ctx, t)
	r.done.Wait()
	r.summary.finish()
	return r.summary, errors.Join(err, r.away)
}

// feed queues every row behind those of its room.
func (r *replay) feed(ctx context.Context, t *trace.Reader) error {
	sent := 0
	for row, err := range t.Rows() {
		var bad *trace.BadRowError
		if errors.As(err, &bad) {
			r.report(func() { r.summary.BadRows++ }, err)
			continue
		}
		if err != nil {
			return err
		}
		if r.cfg.Limit > 0 && sent == r.cfg.Limit {
			return nil
		}
		select {
		case r.free <- struct{}{}:
		case <-ctx.Done():
			return r.interrupted(ctx)
		}
		sent++
		r.enqueue(ctx, row)
	}
	return r.interrupted(ctx)
}

// interrupted is the error of a replay that its caller ended.
func (r *replay) interrupted(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away != nil {
		return nil
	}
	return ctx.Err()
}

func (r *replay) enqueue(ctx context.Context, row trace.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok := r.queues[row.Room]
	if !ok {
		q = &queue{}
		r.queues[row.Room] = q
	}
	q.rows = append(q.rows, row)
	if !q.running {
		q.running = true
		r.done.Go(func() { r.drain(ctx, q) })
	}
}

// drain sends the rows of one room until there are none.
func (r *replay) drain(ctx context.Context, q *queue) {
	for {
		r.mu.Lock()
		if len(q.rows) == 0 {
			q.running = false
			r.mu.Unlock()
			return
		}
		row := q.rows[0]
		q.rows = q.rows[1:]
		r.mu.Unlock()

		select {
		case r.slots <- struct{}{}:
			r.send(ctx, q, row)
			<-r.slots
		case <-ctx.Done():
		}
		<-r.free
	}
}

// send makes a row a command, after creating its room if the room is new to this replay.
func (r *replay) send(ctx context.Context, q *queue, row trace.Row) {
	if ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	if !q.created {
		if err := r.create(ctx, row.Room); err != nil {
			r.failed(row, err)
			return
		}
		q.created = true
	}
	user := room.User{ID: row.User}
	start := time.Now()
	var result room.Result
	var err error
	if row.Action == trace.Join {
		result, err = r.cfg.Client.Join(ctx, room.JoinRequest{RoomID: row.Room, User: user})
	} else {
		result, err = r.cfg.Client.Leave(ctx, room.LeaveRequest{RoomID: row.Room, User: user})
	}
	if err != nil && !errors.Is(err, &room.Error{Code: room.CodeUserNotAllowed}) {
		r.failed(row, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.record(result.Changed, err != nil, time.Since(start))
}

func (r *replay) create(ctx context.Context, id string) error {
	_, err := r.cfg.Client.Create(ctx, room.CreateRequest{
		Room:    room.NewRoom{ID: id, SlugifiedName: id, Type: room.Channel},
		Creator: room.User{ID: Creator},
	})
	if errors.Is(err, &room.Error{Code: room.CodeRoomExists}) {
		return nil
	}
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.summary.RoomsCreated++
	}
	return err
}

// failed counts a command that came to nothing. If that is because nobody answers any more,
// the rest would too.
func (r *replay) failed(row trace.Row, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	r.report(func() { r.summary.Commands++; r.summary.Failed++ }, fmt.Errorf("line %d: %s of %s: %w", row.Line, row.Action, row.User, err))
	if errors.Is(err, &room.Error{Code: room.CodeUnavailable}) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.away == nil {
			r.away = fmt.Errorf("stopped at line %d: %w", row.Line, err)
			r.end()
		}
	}
}

func (r *replay) report(count func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count()
	r.cfg.Report(err)
}
