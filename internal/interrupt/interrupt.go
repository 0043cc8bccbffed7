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
// The second ends the process at once.
func Context() context.Context {
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
