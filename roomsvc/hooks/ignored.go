package hooks

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/internal/logs"
)

// ignored are the verdicts that count for nothing: those that came too late, and those of other apps.
type ignored struct {
	log          *slog.Logger
	lateCount    atomic.Uint64
	lateLines    logs.Lines // by app
	foreignLines logs.Lines // by app
}

// late returns a function that counts a late verdict. The function is kept for long, and so refers to
// little memory.
func (i *ignored) late(app *hook, command string, given time.Duration) func(*nats.Msg) {
	asked := time.Now()
	return func(*nats.Msg) {
		app.stats.late()
		i.lateCount.Add(1)
		if leftOut, log := i.lateLines.Admit(app.manifest.ID, time.Now()); log {
			i.log.Warn("late verdict ignored", "app", app.manifest.ID, "interface", app.iface, "command", command,
				"after", time.Since(asked).Round(time.Millisecond), "timeout", given.Round(time.Millisecond), "left_out", leftOut)
		}
	}
}

// foreign returns a function that logs a verdict in the inbox of another app.
func (i *ignored) foreign(app *hook, command string) func(by string) {
	return func(by string) {
		if leftOut, log := i.foreignLines.Admit(app.manifest.ID, time.Now()); log {
			i.log.Warn("verdict of another app ignored", "app", app.manifest.ID, "interface", app.iface, "command", command,
				"by", by, "left_out", leftOut)
		}
	}
}
