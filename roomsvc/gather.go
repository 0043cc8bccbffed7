package roomsvc

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// grace is how much longer apps are waited for on which nothing depends any more. Without it
// a shadow that is as fast as the others would be recorded half of the time. One that has not
// come within it is not waited for again until it has been that fast.
const grace = 25 * time.Millisecond

// gathering is a round that has been asked: how each app ended, in the order of the apps.
type roundResult struct {
	round
	draft   *room.Draft // what they were asked about
	began   time.Time
	answers []room.Answer
	calls   []call
}

// call is one app being asked one question.
type call struct {
	*hook
	n    int               // of its answer
	done func(room.Answer) // tells the app's circuit
}

// gather asks the apps of a round about the draft, in parallel. No app is waited for longer
// than its own timeout, and none for long once the round is settled. An app that the command left
// less than its fair time is marked as hurried.
func (s *Service) gather(ctx context.Context, c room.Command, d room.Draft, r round) roundResult {
	g := roundResult{round: r, draft: &d, began: time.Now(), answers: make([]room.Answer, len(r.hooks))}
	g.calls = make([]call, 0, len(r.hooks))
	requests := make([]bus.Request, 0, len(r.hooks))
	body, err := preEvent(d.Data)
	message := preMessage(c, r.iface, body)
	for n, app := range r.hooks {
		a := &g.answers[n]
		*a = app.answerWithoutAsking(c, &d, err)
		if a.Reinvoked = r.again; !isOpen(*a) {
			continue
		}
		done, err := app.breaker.allow(originOf(c))
		if err != nil {
			a.Outcome, a.Reason = room.Unavailable, err.Error()
			continue
		}
		given := r.time(ctx, &app.manifest)
		a.Hurried = given < r.fair(&app.manifest)
		g.calls = append(g.calls, call{hook: app, n: n, done: done})
		requests = append(requests, s.preRequest(c, app, message, given))
	}
	if len(requests) == 0 {
		return g
	}
	asked := s.requester.Ask(requests)
	g.listen(ctx, asked)
	if slices.ContainsFunc(g.answers, isOpen) {
		s.abandon(ctx, asked, &g)
	}
	return g
}

func isOpen(a room.Answer) bool { return a.Outcome == "" }

// listen takes the answers that are waited for: until nothing depends on the rest, and a
// moment more if one of the rest may come within it.
func (g *roundResult) listen(ctx context.Context, requests *bus.Requests) {
	for !room.Settled(g.answers) {
		if !g.receive(ctx, requests) {
			return
		}
	}
	if !slices.ContainsFunc(g.calls, func(k call) bool { return isOpen(g.answers[k.n]) && !k.breaker.slow.Load() }) {
		return
	}
	moment, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for g.receive(moment, requests) {
	}
}

// hear takes the next answer. It returns false if none is left, or when the context ends.
func (g *roundResult) receive(ctx context.Context, requests *bus.Requests) bool {
	k, reply, ok := requests.Next(ctx)
	if ok {
		app, a := g.calls[k], &g.answers[g.calls[k].n]
		judge(a, g.iface, g.draft, reply)
		app.stats.took(reply)
		if reply.Took <= grace && reply.Err == nil {
			app.breaker.slow.Store(false)
		}
	}
	return ok
}

// leave records that the apps still open were not waited for. What they say all the same is
// listened to in the background, as many rounds at once as commands may be in progress: it
// counts, for the figures and the circuits.
func (s *Service) abandon(ctx context.Context, requests *bus.Requests, g *roundResult) {
	rest := *g
	rest.answers = slices.Clone(g.answers)
	for n := range g.answers {
		a := &g.answers[n]
		if !isOpen(*a) {
			rest.answers[n].Unheard = true // here; it has been heard there
			continue
		}
		a.Unheard, a.Took = true, time.Since(g.began)
		a.Outcome, a.Reason = room.Skipped, "not waited for"
		if ctx.Err() != nil {
			a.Outcome, a.Reason, a.Hurried = room.TimedOut, "the command's time ran out", true
		} else {
			g.hooks[n].breaker.slow.Store(true)
		}
	}
	select {
	case s.listening <- struct{}{}:
	default:
		requests.Close()
		rest.recordOutcomes(s.log)
		return
	}
	s.running.Go(func() {
		defer func() { <-s.listening }()
		defer requests.Close()
		for rest.receive(s.ctx, requests) {
		}
		rest.recordOutcomes(s.log)
	})
}

// conclude counts what came of the round and tells the circuits, once it is combined: only
// then is it known whether what an app said could be used.
func (g *roundResult) recordOutcomes(log *slog.Logger) {
	for n, a := range g.answers {
		if !a.Unheard {
			g.hooks[n].stats.count(a)
		}
	}
	for _, k := range g.calls {
		if a := g.answers[k.n]; !a.Unheard {
			k.done(a)
			if a.Outcome.Answered() {
				k.stats.failOpenEnded(k.hook, log)
			}
		}
	}
}

// question is the pre-event for one app, and how it is asked.
func (s *Service) preRequest(c room.Command, app *hook, message func(time.Duration) *nats.Msg, given time.Duration) bus.Request {
	app.stats.called()
	return bus.Request{
		Subject: app.subject,
		Retry:   app.retry,
		Timeout: given,
		Persist: app.enforcedEssential() && app.breaker.patient(),
		Message: message,
		Late:    s.onLate(app, c.ID, given),
	}
}

// preMessage returns what makes the pre-event's message for one app after the other.
func preMessage(c room.Command, iface room.Interface, body []byte) func(left time.Duration) *nats.Msg {
	headers := subjects.PreHeaders(iface, c.ID, c.Request.Target(), c.TraceParent, c.CausedBy, c.Time)
	return func(left time.Duration) *nats.Msg { return &nats.Msg{Header: headers(left), Data: body} }
}

// ignoring returns what counts a verdict that comes late. It is kept for long, and so refers to
// little.
func (s *Service) onLate(app *hook, command string, given time.Duration) func(*nats.Msg) {
	asked := time.Now()
	return func(*nats.Msg) {
		app.stats.late()
		s.late.Add(1)
		if leftOut, log := s.lateLines.admit(app.manifest.ID, time.Now()); log {
			s.log.Warn("a verdict came late and was ignored", "app", app.manifest.ID, "interface", app.iface, "command", command,
				"after", time.Since(asked).Round(time.Millisecond), "timeout", given.Round(time.Millisecond), "left_out", leftOut)
		}
	}
}
