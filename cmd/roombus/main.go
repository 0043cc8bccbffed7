// Command roombus is the room bus: the service, a demo of it, and the tools of those who run
// it. "roombus help" lists them.
package main

import (
	"os"

	"github.com/roombus/roombus/internal/interrupt"
)

func main() {
	os.Exit(Run(interrupt.Context(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
