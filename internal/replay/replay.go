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

// Creator is the user that creates the rooms of a trace.
const Creator = "replay"

// Config configures a replay.
type Config struct {
	Client *roomclient.Client
	// Concurrency bounds the commands in progress. The commands of one room are sent one after the
	// other, in the order of the trace.
	Concurrency int
	// Limit ends the replay after so many commands; 0 is no limit.
	Limit int
	// Timeout bounds all tries of one command. The replay ends if the service does not answer for
	// that time.
	Timeout time.Duration
	// Report is called with every bad row and every failed command. Calls do not overlap.
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
	away   error // why the replay ends
	end    context.CancelFunc
}

// queue holds the waiting rows of one room.
type queue struct {
	rows    []trace.Row
	running bool
	created bool
}

// Run replays the trace and returns a summary. It returns an error if it ended early: the trace
// could not be read, the service did not answer for too long, or the context ended. The summary
// then covers the commands so far.
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

// feed appends every row to the queue of its room.
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

// interrupted returns the error of a replay that its caller ended.
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

// drain sends the rows of one room until its queue is empty.
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

// send sends a row as a command. It first creates the room if the room is new to this replay.
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

// failed counts a failed command. If the service no longer answers, it ends the replay, because the
// remaining commands would fail too.
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
