package appworker

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/roombus/roombus/internal/interrupt"
	"github.com/roombus/roombus/internal/logs"
)

// Main is the main function of an app: it connects with the settings of the environment, serves until
// SIGINT or SIGTERM, drains, and exits. A second signal exits at once.
//
// It logs to stderr in the format of roombus serve: as text, or as JSON with ROOMBUS_LOG=json. ROOMBUS_LOG_LEVEL sets
// the level (debug, info, warn or error; default info). Main makes this logger the default of log/slog. An app with
// another logger calls Run.
func Main(m Manifest, handlers ...any) {
	settings, err := logs.FromEnv()
	if err == nil {
		slog.SetDefault(settings.New(os.Stderr))
		err = run(m, handlers...)
	}
	if err != nil {
		if settings.JSON { // as all other lines
			settings.New(os.Stderr).Error("worker failed", "app", m.ID, "error", err)
		} else {
			fmt.Fprintf(os.Stderr, "%s: %v\n", m.ID, err)
		}
		os.Exit(1)
	}
}

func run(m Manifest, handlers ...any) error {
	ctx := interrupt.Context()
	context.AfterFunc(ctx, func() {
		slog.Info("stopping; a second signal exits at once", "app", m.ID)
	})
	return Run(ctx, Config{}, m, handlers...)
}
