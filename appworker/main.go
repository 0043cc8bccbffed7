package appworker

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/roombus/roombus/internal/interrupt"
	"github.com/roombus/roombus/internal/logs"
)

// Main is the main function of an app: it connects as the environment says, serves until
// SIGINT or SIGTERM, drains, and exits. A second signal exits at once.
//
// It logs to stderr in the form of roombus serve: as text, or as JSON with ROOMBUS_LOG=json, from the level on that
// ROOMBUS_LOG_LEVEL says (debug, info, warn or error; default info). That logger becomes the default one of log/slog.
// An app that logs otherwise calls Run.
func Main(m Manifest, handlers ...any) {
	settings, err := logs.FromEnv()
	if err == nil {
		slog.SetDefault(settings.New(os.Stderr))
		err = run(m, handlers...)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", m.ID, err)
		os.Exit(1)
	}
}

func run(m Manifest, handlers ...any) error {
	ctx := interrupt.Context()
	context.AfterFunc(ctx, func() {
		slog.Info("stopping: finishing what has begun; a second signal ends at once", "app", m.ID)
	})
	return Run(ctx, Config{}, m, handlers...)
}
