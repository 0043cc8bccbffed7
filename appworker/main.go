package appworker

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/roombus/roombus/internal/interrupt"
)

// Main is the main function of an app: it connects as the environment says, serves until
// SIGINT or SIGTERM, drains, and exits. A second signal exits at once.
func Main(m Manifest, handlers ...any) {
	ctx := interrupt.Context()
	context.AfterFunc(ctx, func() {
		slog.Info("stopping: finishing what has begun; a second signal ends at once", "app", m.ID)
	})
	if err := Run(ctx, Config{}, m, handlers...); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", m.ID, err)
		os.Exit(1)
	}
}
