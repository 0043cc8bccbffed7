package interrupt

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// status is the exit status of a process that SIGINT ended, as in shells.
const status = 130

// Context returns a context that ends at the first SIGINT or SIGTERM, so that the program can
// finish its work. The second signal ends the process at once. SIGPIPE is ignored: writing to a
// closed pipe returns an error, so that the program can clean up.
func Context() context.Context {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(status)
	}()
	return ctx
}
