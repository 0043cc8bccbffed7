package roomsvc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// gather asks the apps of a round about the draft, in parallel, and returns how each ended,
// in the order of the apps. No app is waited for longer than its own timeout.
func (s *Service) gather(ctx context.Context, c room.Command, d room.Draft, r round) []room.Answer {
	answers := make([]room.Answer, len(r.apps))
	questions := make([]bus.Question, 0, len(r.apps))
	asked := make([]int, 0, len(r.apps)) // of each question: its place in answers
	body, err := preEvent(d)
	for n, app := range r.apps {
		answers[n] = room.Answer{App: app.ID, Essential: app.Essential(r.phase), Shadow: app.Shadow}
		switch {
		case err != nil:
			answers[n].Outcome, answers[n].Reason = room.Failed, err.Error()
		case !app.IsEnabled():
			answers[n].Outcome, answers[n].Reason = room.Unavailable, "disabled"
		default:
			given := r.time(ctx, app)
			answers[n].Hurried = given < app.Timeout()
			questions = append(questions, question(c, d, r.phase, app, body, given))
			asked = append(asked, n)
		}
	}
	for n, reply := range s.asker.Ask(ctx, questions) {
		judge(&answers[asked[n]], r.phase, d, reply)
	}
	return answers
}

// time is how long an app is waited for: its own timeout, or less if the rounds still to
// come could not have theirs within the command's budget. A tenth of what is left is kept
// for the commit.
func (r round) time(ctx context.Context, app room.Manifest) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return app.Timeout()
	}
	left := time.Until(deadline) * 9 / 10
	if r.ahead <= left {
		return app.Timeout()
	}
	return time.Duration(float64(app.Timeout()) * float64(left) / float64(r.ahead))
}

func preEvent(d room.Draft) ([]byte, error) {
	d.Data.Apps, d.Data.Warnings = nil, nil
	body, err := json.Marshal(d.Data)
	if err != nil {
		return nil, fmt.Errorf("encoding the pre-event: %w", err)
	}
	return body, nil
}

func question(c room.Command, d room.Draft, phase room.Interface, app room.Manifest, body []byte, timeout time.Duration) bus.Question {
	h := nats.Header(subjects.CloudEvents(subjects.PreType(phase), c.ID, d.Data.Room.ID, c.TraceParent, c.Time))
	h.Set(subjects.TimeoutMs, strconv.FormatInt(max(1, timeout.Milliseconds()), 10))
	return bus.Question{
		Msg:     &nats.Msg{Subject: subjects.Pre(phase, app.ID), Header: maps.Clone(h), Data: body},
		Timeout: timeout,
	}
}

// judge turns a reply into the answer's outcome: exactly one, whatever came.
func judge(a *room.Answer, phase room.Interface, d room.Draft, reply bus.Reply) {
	a.Took = reply.Took
	switch {
	case errors.Is(reply.Err, bus.ErrNobody):
		a.Outcome, a.Reason = room.Unavailable, "no live worker"
	case errors.Is(reply.Err, bus.ErrLate):
		a.Outcome, a.Reason = room.TimedOut, fmt.Sprintf("no verdict within %d ms", a.Took.Milliseconds())
	case reply.Err != nil:
		a.Outcome, a.Reason = room.Unavailable, reply.Err.Error()
	default:
		if err := readVerdict(a, phase, d, reply.Msg); err != nil {
			a.Outcome, a.Reason = room.Failed, err.Error()
		}
	}
}

var outcomes = map[room.Decision]room.Outcome{
	room.Allow: room.Allowed,
	room.Deny:  room.Denied,
	room.Skip:  room.Skipped,
}

func readVerdict(a *room.Answer, phase room.Interface, d room.Draft, msg *nats.Msg) error {
	code, description := msg.Header.Get(micro.ErrorCodeHeader), msg.Header.Get(micro.ErrorHeader)
	if code != "" || description != "" {
		return errors.New(cmp.Or(description, "error "+code))
	}
	v, err := room.ParseVerdict(phase, msg.Data)
	if err != nil {
		return fmt.Errorf("the verdict cannot be read: %w", err)
	}
	if v.Modify != nil {
		if a.Modified, err = patched(d.Data.Room, v.Modify); err != nil {
			return err
		}
	}
	a.Verdict, a.Outcome, a.Reason = v, outcomes[v.Verdict], v.Reason
	return nil
}

// patched is the room with an RFC 7396 merge patch applied, as JSON.
func patched(r room.Room, patch []byte) ([]byte, error) {
	record, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding the room: %w", err)
	}
	modified, err := jsonpatch.MergePatch(record, patch)
	if err != nil {
		return nil, fmt.Errorf("the merge patch cannot be applied: %w", err)
	}
	return modified, nil
}
