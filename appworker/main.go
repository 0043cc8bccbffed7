package appworker

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main is the main function of an app: it connects as the environment says, serves until
// SIGINT or SIGTERM, drains, and exits. A second signal exits at once.
func Main(m Manifest, handlers ...any) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the next signal has its default effect
	if err := Run(ctx, Config{}, m, handlers...); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", m.ID, err)
		os.Exit(1)
	}
}
