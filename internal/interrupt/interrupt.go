// Package interrupt is what a program does when it is told to stop.
package interrupt

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// status is that of a process that SIGINT ended, as shells have it.
const status = 130

// Context ends at the first SIGINT or SIGTERM, for the program to finish what it has begun.
// The second ends the process at once. Output that nobody reads any more is an error of
// writing, not the end of the process: there may be something to clear away.
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
