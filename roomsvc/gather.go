package roomsvc

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// grace is how much longer apps are waited for on which nothing depends any more. Without it
// a shadow that is as fast as the others would be recorded half of the time.
const grace = 25 * time.Millisecond

// call is one app being asked one question.
type call struct {
	*contact
	n    int               // of its answer
	done func(room.Answer) // tells the app's circuit
}

// gather asks the apps of a round about the draft, in parallel, and returns how each ended,
// in the order of the apps. No app is waited for longer than its own timeout, and none for
// long once the round is settled.
func (s *Service) gather(ctx context.Context, c room.Command, d room.Draft, r round) []room.Answer {
	answers := make([]room.Answer, len(r.contacts))
	calls := make([]call, 0, len(r.contacts))
	questions := make([]bus.Question, 0, len(r.contacts))
	body, err := preEvent(d)
	for n, app := range r.contacts {
		answers[n] = app.spare(c, d, err)
		if answers[n].Outcome != "" {
			continue
		}
		done, err := app.circuit.allow()
		if err != nil {
			answers[n].Outcome, answers[n].Reason = room.Unavailable, err.Error()
			continue
		}
		given := r.time(ctx, app.manifest)
		answers[n].Hurried = given < app.manifest.Timeout()
		calls = append(calls, call{contact: app, n: n, done: done})
		questions = append(questions, s.question(c, d, app, body, given))
	}
	asking := s.asker.Ask(questions)
	s.listen(ctx, asking, calls, d, answers)
	if slices.ContainsFunc(answers, isOpen) {
		s.leave(ctx, asking, calls, d, answers)
	}
	return answers
}

func isOpen(a room.Answer) bool { return a.Outcome == "" }

// listen takes the answers that are waited for: until nothing depends on the rest, and a
// moment more.
func (s *Service) listen(ctx context.Context, asking *bus.Asking, calls []call, d room.Draft, answers []room.Answer) {
	hear := func(ctx context.Context) bool {
		k, reply, ok := asking.Next(ctx)
		if ok {
			calls[k].end(d, reply, &answers[calls[k].n])
		}
		return ok
	}
	for !room.Settled(answers) {
		if !hear(ctx) {
			return
		}
	}
	moment, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for hear(moment) {
	}
}

// leave records that the apps still open were not waited for. What they say all the same is
// listened to in the background: it counts, for them and for their circuits.
func (s *Service) leave(ctx context.Context, asking *bus.Asking, calls []call, d room.Draft, answers []room.Answer) {
	heard := slices.Clone(answers)
	s.running.Go(func() {
		defer asking.Close()
		for {
			k, reply, ok := asking.Next(s.ctx)
			if !ok {
				return
			}
			a := &heard[calls[k].n]
			calls[k].end(d, reply, a)
			calls[k].figures.count(*a)
		}
	})
	for n := range answers {
		a := &answers[n]
		switch {
		case !isOpen(*a):
			continue
		case ctx.Err() != nil:
			a.Outcome, a.Reason, a.Hurried = room.TimedOut, "the command's time ran out", true
		default:
			a.Outcome, a.Reason = room.Skipped, "not waited for"
		}
		a.Unheard = true
	}
}

// question is the pre-event for one app, and how it is asked.
func (s *Service) question(c room.Command, d room.Draft, app *contact, body []byte, given time.Duration) bus.Question {
	app.figures.called()
	asked := time.Now()
	return bus.Question{
		Subject: subjects.Pre(app.phase, app.manifest.ID),
		Retry:   subjects.PreRetry(app.phase, app.manifest.ID),
		Timeout: given,
		Persist: app.enforcedEssential() && app.circuit.patient(),
		Message: func(left time.Duration) *nats.Msg {
			h := nats.Header(subjects.CloudEvents(subjects.PreType(app.phase), c.ID, d.Data.Room.ID, c.TraceParent, c.Time))
			h.Set(subjects.TimeoutMs, strconv.FormatInt(max(1, left.Milliseconds()), 10))
			return &nats.Msg{Header: h, Data: body}
		},
		Late: func(*nats.Msg) {
			app.figures.late()
			s.late.Add(1)
			s.log.Warn("a verdict came late and was ignored", "app", app.manifest.ID, "interface", app.phase,
				"command", c.ID, "after", time.Since(asked).Round(time.Millisecond), "timeout", given.Round(time.Millisecond))
		},
	}
}

// end turns a reply into the answer: exactly one outcome, whatever came.
func (k call) end(d room.Draft, reply bus.Reply, a *room.Answer) {
	judge(a, k.phase, d, reply)
	k.done(*a)
	k.figures.took(reply)
}

// count adds what came of a round to the figures, once it is combined: only then is it known
// whether what an app said could be used.
func (r round) count(answers []room.Answer) {
	for n, a := range answers {
		if !a.Unheard {
			r.contacts[n].figures.count(a)
		}
	}
}
