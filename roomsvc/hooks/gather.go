package hooks

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

// Result is a round in progress or its result.
type Result struct {
	Answers []rules.Answer // one for each app, in their order

	*Round
	command string       // the id of the command
	draft   *rules.Draft // about which apps with workers were asked; nil if none was
	began   time.Time
	calls   []call
	log     *slog.Logger
}

// call is one request to an app.
type call struct {
	*hook
	n    int                // index of its answer
	done func(rules.Answer) // reports the answer to the breaker
}

// Gather asks the apps of a round about the draft, in parallel. It waits for an app no longer than
// its timeout, and no longer than the grace once no outstanding answer can change the decision. An
// app that gets less than its fair time is marked as hurried.
func (h *Hooks) Gather(ctx context.Context, c rules.Command, d *rules.Draft, r *Round) Result {
	g := Result{Round: r, command: c.ID, began: time.Now(), Answers: make([]rules.Answer, len(r.hooks)), log: h.log}
	toAsk := 0
	event, watch := about(c, d), stopwatch{g.began}
	for n, app := range r.hooks {
		a := &g.Answers[n]
		app.answerWithoutAsking(event, a, &watch)
		if a.Reinvoked = r.Again; isOpen(*a) {
			toAsk++
		}
	}
	if rules.DenialSettled(g.Answers) { // by a policy: no worker has been asked yet
		g.spare()
		return g
	}
	if toAsk > 0 {
		kept := *d // answers in the background need it, when the caller has changed its own
		g.draft = &kept
		g.ask(ctx, h, c, toAsk)
	}
	return g
}

// ask asks the apps whose answers are open.
func (g *Result) ask(ctx context.Context, h *Hooks, c rules.Command, count int) {
	g.calls = make([]call, 0, count)
	requests := make([]bus.Request, 0, count)
	body, unencodable := preEvent(g.draft.Data)
	message := preMessage(c, g.Interface, body)
	for n, app := range g.hooks {
		a := &g.Answers[n]
		if !isOpen(*a) {
			continue
		}
		if unencodable != nil {
			a.Outcome, a.Reason = room.Failed, unencodable.Error()
			continue
		}
		done, err := app.breaker.allow(originOf(c))
		if err != nil {
			a.Outcome, a.Reason = room.Unavailable, err.Error()
			continue
		}
		given := g.time(ctx, &app.manifest)
		a.Hurried = given < g.fair(&app.manifest)
		g.calls = append(g.calls, call{hook: app, n: n, done: done})
		requests = append(requests, h.preRequest(c, app, message, given))
	}
	if len(requests) == 0 {
		return
	}
	asked := h.cfg.Requester.Ask(requests)
	g.listen(ctx, asked)
	if slices.ContainsFunc(g.Answers, isOpen) {
		h.abandon(ctx, asked, g)
	}
}

func isOpen(a rules.Answer) bool { return a.Outcome == "" }

// listen receives answers until no outstanding one can change the decision. Then it waits for the
// grace if an outstanding app may answer within it.
func (g *Result) listen(ctx context.Context, requests *bus.Requests) {
	for !rules.Settled(g.Answers) {
		if !g.receive(ctx, requests) {
			return
		}
	}
	if !slices.ContainsFunc(g.calls, func(k call) bool { return isOpen(g.Answers[k.n]) && !k.breaker.slow.Load() }) {
		return
	}
	moment, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for g.receive(moment, requests) {
	}
}

// receive records the next answer. It returns false if none is left, or when the context ends.
func (g *Result) receive(ctx context.Context, requests *bus.Requests) bool {
	k, reply, ok := requests.Next(ctx)
	if ok {
		app, a := g.calls[k], &g.Answers[g.calls[k].n]
		judge(a, g.Interface, g.draft, reply)
		app.stats.took(reply)
		if reply.Took <= grace && reply.Err == nil {
			app.breaker.slow.Store(false)
		}
	}
	return ok
}

// abandon records that the service stopped waiting for the outstanding apps. It receives their
// answers in the background, where they still count for the stats and the breakers. The number of
// rounds in the background is bounded by Config.MaxAbandoned.
func (h *Hooks) abandon(ctx context.Context, requests *bus.Requests, g *Result) {
	rest := *g
	rest.Answers = slices.Clone(g.Answers)
	for n := range g.Answers {
		a := &g.Answers[n]
		if !isOpen(*a) {
			rest.Answers[n].Unheard = true // the caller counts this answer
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
	case h.abandoned <- struct{}{}:
	default:
		requests.Close()
		rest.Record()
		return
	}
	h.background.Go(func() {
		defer func() { <-h.abandoned }()
		defer requests.Close()
		for rest.receive(h.ctx, requests) {
		}
		rest.Record()
	})
}

// Record counts the outcomes of the round and reports them to the breakers. It is called after
// rules.Combine, which decides whether an answer was usable.
func (g *Result) Record() {
	at := time.Now()
	for n := range g.Answers {
		if a := &g.Answers[n]; !a.Unheard {
			g.hooks[n].count(a, g.command, at, g.log)
		}
	}
	for _, k := range g.calls {
		if a := &g.Answers[k.n]; !a.Unheard {
			k.done(*a)
			k.answered(a, g.log)
		}
	}
}

// preRequest returns the request of a pre-event to one app.
func (h *Hooks) preRequest(c rules.Command, app *hook, message func(time.Duration) *nats.Msg, given time.Duration) bus.Request {
	app.stats.called()
	return bus.Request{
		Subject:  app.subject,
		Retry:    app.retry,
		Timeout:  given,
		Persist:  app.enforcedEssential() && app.breaker.patient(),
		Message:  message,
		Exported: app.exported(),
		Foreign:  h.ignored.foreign(app, c.ID),
		Late:     h.ignored.late(app, c.ID, given),
	}
}

// preMessage returns a function that makes the message of the pre-event, with the time that is
// left.
func preMessage(c rules.Command, iface room.Interface, body []byte) func(left time.Duration) *nats.Msg {
	headers := subjects.PreHeaders(iface, c.ID, c.Request.Target(), c.TraceParent, c.CausedBy, c.Time)
	return func(left time.Duration) *nats.Msg { return &nats.Msg{Header: headers(left), Data: body} }
}
