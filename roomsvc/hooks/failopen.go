package hooks

import (
	"log/slog"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
)

// failOpen is a period in which commands go on without the verdict of an optional app. The lock of
// the hookStats guards it.
type failOpen struct {
	outage   bus.Outage
	commands uint64 // that went on since the last period was logged as ended
}

// FailedOpen is an optional app that gave no verdict in a round that refused nothing.
type FailedOpen struct {
	*hook
	outcome room.Outcome
	reason  string
}

// FailedOpen lists the apps without whose verdict the command goes on. A shadow is not among them,
// since its verdict has no effect.
func (g *Result) FailedOpen() []FailedOpen {
	var all []FailedOpen
	for n, a := range g.Answers {
		if !a.Essential && !a.Shadow && !a.Outcome.Answered() {
			all = append(all, FailedOpen{g.hooks[n], a.Outcome, a.Reason})
		}
	}
	return all
}

// App is the id of the app.
func (f FailedOpen) App() string { return f.manifest.ID }

// CountFailedOpen counts a command that goes on without these apps.
func (h *Hooks) CountFailedOpen(without []FailedOpen) {
	for _, f := range without {
		f.count(h.log)
	}
}

// count counts a command that goes on without the app. It logs the beginning of the period and, at
// growing intervals, that it lasts. A disabled app is only counted, since that is the decision of
// an operator.
func (f FailedOpen) count(log *slog.Logger) {
	f.stats.mu.Lock()
	defer f.stats.mu.Unlock()
	f.stats.counts.FailOpen++
	if !f.manifest.IsEnabled() {
		return
	}
	open := &f.stats.open
	open.commands++
	if open.outage.Failed(time.Now()) {
		log.Warn("fail-open: commands go on without the verdict of an optional app", "app", f.manifest.ID, "interface", f.iface,
			"outcome", f.outcome, "reason", f.reason, "commands", open.commands)
	}
}

// failOpenEnded records that the app has given a verdict. The caller holds the lock of the stats.
func (k *hook) failOpenEnded(log *slog.Logger) {
	open := &k.stats.open
	if open.commands == 0 {
		return
	}
	if lasted, ended := open.outage.Ended(time.Now()); ended {
		log.Info("fail-open ended: the app gives verdicts again", "app", k.manifest.ID, "interface", k.iface,
			"commands", open.commands, "outage", lasted.Round(time.Millisecond))
		open.commands = 0
	}
}
