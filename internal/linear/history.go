package linear

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/roombus/roombus/room"
)

// History records the commands of clients and their answers. It is safe for concurrent use.
type History struct {
	began time.Time

	mu  sync.Mutex
	ops []*Operation
}

// Operation is one command of one client, however often it was sent.
type Operation struct {
	ID     string
	Client int // counted from 0
	Input  Input

	call, answered int64 // nanoseconds since the history began
	output         Output
	outcome        outcome
	sure           bool
	late           *Output // the result of a slow try that committed after another try was answered
}

type outcome int

const (
	unknown outcome = iota // also for commands in progress
	known
	nothing // the command ended, and its answer says nothing about the room
)

// NewHistory returns an empty history.
func NewHistory() *History { return &History{began: time.Now()} }

// Begin records a command before it is sent for the first time.
func (h *History) Begin(client int, id string, in Input) *Operation {
	op := &Operation{ID: id, Client: client, Input: in, call: h.now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
	return op
}

// End records the answer to a command. Sure says that no earlier try of the command may still be
// running.
func (h *History) End(op *Operation, r room.Result, err error, sure bool) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	op.answered, op.sure = now, sure
	op.output, op.outcome = read(r, err, sure)
}

// read separates answers that say something about the room from answers that do not. A refusal
// because of the room's state describes the state at that time. The refusal of the model's app
// never changes. Other refusals only say that this try did nothing, and say nothing about earlier
// tries.
func read(r room.Result, err error, sure bool) (Output, outcome) {
	if err == nil {
		out := Output{Changed: r.Changed, Version: r.Room.Version, Members: r.Room.MemberCount, Name: r.Room.DisplayName}
		if r.Event != nil {
			out.Seq = r.Event.Seq
		}
		return out, known
	}
	var e *room.Error
	if !errors.As(err, &e) {
		return Output{}, unknown
	}
	switch e.Code {
	case room.CodeRoomNotFound, room.CodeMemberNotFound, room.CodeRoomExists, room.CodeUserNotAllowed:
		return Output{Code: e.Code}, known
	case room.CodeEssentialAppUnavailable, room.CodeOverloaded, room.CodeInvalidRequest, room.CodeTooLarge:
		if sure {
			return Output{}, nothing
		}
	}
	return Output{}, unknown
}

func (h *History) now() int64 { return time.Since(h.began).Nanoseconds() }

// Summary counts the operations by their end. Overtaken counts the unchanged and refused operations
// that an earlier try committed after the answer.
type Summary struct{ Changed, Unchanged, Refused, Nothing, Unknown, Overtaken int }

// Summary counts the operations.
func (h *History) Summary() Summary {
	h.mu.Lock()
	defer h.mu.Unlock()
	var s Summary
	for _, op := range h.ops {
		if op.late != nil {
			s.Overtaken++
		}
		switch {
		case op.outcome == unknown:
			s.Unknown++
		case op.outcome == nothing:
			s.Nothing++
		case op.output.Code != "":
			s.Refused++
		case op.output.Changed:
			s.Changed++
		default:
			s.Unchanged++
		}
	}
	return s
}

// Settle compares the history with all events, once no command is running. An acknowledged command
// must be stored where the answer said. Any other command must not be stored, unless an earlier try
// was still running. No id may be stored twice. Settle also decides the operations without an
// answer.
func (h *History) Settle(events []room.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	made := make(map[string]room.Event, len(events))
	var errs []error
	for _, e := range events {
		if first, twice := made[e.ID]; twice {
			errs = append(errs, fmt.Errorf("events %d and %d have the id %s", first.Seq, e.Seq, e.ID))
		}
		made[e.ID] = e
	}
	for _, op := range h.ops {
		e, is := made[op.ID]
		out := Output{Changed: true, Version: e.Version, Members: e.Data.Room.MemberCount, Name: e.Data.Room.DisplayName, Seq: e.Seq}
		switch {
		case op.outcome == unknown && is:
			op.output, op.answered, op.outcome = out, math.MaxInt64, known
		case op.outcome == unknown:
			op.outcome = nothing
		case op.output.Changed && !is:
			errs = append(errs, fmt.Errorf("command %s was acknowledged as event %d, which is not stored", op.ID, op.output.Seq))
		case op.output.Changed && op.output != out:
			errs = append(errs, fmt.Errorf("command %s was answered with %q, stored is %q", op.ID, op.output, out))
		case !op.output.Changed && is && !op.sure:
			op.late = &out
		case !op.output.Changed && is:
			errs = append(errs, fmt.Errorf("command %s was answered with %q, and made event %d", op.ID, op.output, e.Seq))
		}
	}
	return errors.Join(errs...)
}

// checkTime bounds the search in one room. A search that takes that long has usually found no
// violation.
const checkTime = 2 * time.Minute

// Check returns an error for every room whose commands were not linearizable, or that the search
// could not decide in time. The error names an HTML file that shows the commands. The file is not
// removed.
func (h *History) Check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	byRoom := make(map[string][]porcupine.Operation)
	add := func(op *Operation, in Input, out Output, end int64) {
		byRoom[in.Room] = append(byRoom[in.Room], porcupine.Operation{
			ClientId: op.Client, Input: in, Call: op.call, Output: out, Return: end, Metadata: op.ID,
		})
	}
	for _, op := range h.ops {
		in := op.Input
		if op.late != nil {
			in.late = op.ID
			add(op, in, *op.late, math.MaxInt64)
			in.late, in.overtaken = "", op.ID
		}
		if op.outcome == known {
			add(op, in, op.output, op.answered)
		}
	}
	var errs []error
	for id, ops := range byRoom {
		result := porcupine.CheckOperationsTimeout(model(), ops, checkTime)
		if result != porcupine.Ok {
			errs = append(errs, fmt.Errorf("room %s, %d commands: linearizable: %s; see %s", id, len(ops), result, show(ops)))
		}
	}
	return errors.Join(errs...)
}

// show writes the result of the search to a file.
func show(ops []porcupine.Operation) string {
	_, info := porcupine.CheckOperationsVerbose(model(), slices.Clone(ops), checkTime)
	f, err := os.CreateTemp("", "roombus-history-*.html")
	if err != nil {
		return err.Error()
	}
	if err := errors.Join(porcupine.Visualize(model(), info, f), f.Close()); err != nil {
		return err.Error()
	}
	return f.Name()
}
