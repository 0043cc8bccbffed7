package roomsvc

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// grace is how much longer apps are awaited once no outstanding answer can change the decision.
// Without it a shadow that is as fast as the other apps would be recorded only half of the time. An
// app that misses the grace is not awaited again until one of its answers comes within that time.
const grace = 25 * time.Millisecond

// roundResult is a round in progress or its result: an answer for each hook, in their order.
type roundResult struct {
	round
	draft   *rules.Draft // about which the apps were asked
	began   time.Time
	answers []rules.Answer
	calls   []call
}

// call is one request to an app.
type call struct {
	*hook
	n    int                // index of its answer
	done func(rules.Answer) // reports the answer to the breaker
}

// gather asks the apps of a round about the draft, in parallel. It waits for an app no longer than
// its timeout, and no longer than the grace once no outstanding answer can change the decision. An
// app that gets less than its fair time is marked as hurried.
func (s *Service) gather(ctx context.Context, c rules.Command, d rules.Draft, r round) roundResult {
	g := roundResult{round: r, draft: &d, began: time.Now(), answers: make([]rules.Answer, len(r.hooks))}
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

func isOpen(a rules.Answer) bool { return a.Outcome == "" }

// listen receives answers until no outstanding one can change the decision. Then it waits for the
// grace if an outstanding app may answer within it.
func (g *roundResult) listen(ctx context.Context, requests *bus.Requests) {
	for !rules.Settled(g.answers) {
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

// receive records the next answer. It returns false if none is left, or when the context ends.
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

// abandon records that the service stopped waiting for the outstanding apps. It receives their
// answers in the background, where they still count for the stats and the breakers. The number of
// rounds in the background is bounded by MaxInFlight.
func (s *Service) abandon(ctx context.Context, requests *bus.Requests, g *roundResult) {
	rest := *g
	rest.answers = slices.Clone(g.answers)
	for n := range g.answers {
		a := &g.answers[n]
		if !isOpen(*a) {
			rest.answers[n].Unheard = true // the caller counts this answer
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
	case s.background <- struct{}{}:
	default:
		requests.Close()
		rest.recordOutcomes(s.log)
		return
	}
	s.running.Go(func() {
		defer func() { <-s.background }()
		defer requests.Close()
		for rest.receive(s.ctx, requests) {
		}
		rest.recordOutcomes(s.log)
	})
}

// recordOutcomes counts the outcomes of the round and reports them to the breakers. It runs after
// Combine, which decides whether an answer was usable.
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

// preRequest returns the request of a pre-event to one app.
func (s *Service) preRequest(c rules.Command, app *hook, message func(time.Duration) *nats.Msg, given time.Duration) bus.Request {
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

// preMessage returns a function that makes the message of the pre-event, with the time that is
// left.
func preMessage(c rules.Command, iface room.Interface, body []byte) func(left time.Duration) *nats.Msg {
	headers := subjects.PreHeaders(iface, c.ID, c.Request.Target(), c.TraceParent, c.CausedBy, c.Time)
	return func(left time.Duration) *nats.Msg { return &nats.Msg{Header: headers(left), Data: body} }
}

// onLate returns a function that counts a late verdict. The function is kept for long, and so
// refers to little memory.
func (s *Service) onLate(app *hook, command string, given time.Duration) func(*nats.Msg) {
	asked := time.Now()
	return func(*nats.Msg) {
		app.stats.late()
		s.late.Add(1)
		if leftOut, log := s.lateLines.admit(app.manifest.ID, time.Now()); log {
			s.log.Warn("late verdict ignored", "app", app.manifest.ID, "interface", app.iface, "command", command,
				"after", time.Since(asked).Round(time.Millisecond), "timeout", given.Round(time.Millisecond), "left_out", leftOut)
		}
	}
}
