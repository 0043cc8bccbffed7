// Command roombus holds the room service, a demo of it, and the tools to operate it. "roombus help"
// lists them.
package main

import (
	"os"
	_ "time/tzdata" // rules may name time zones, and the image of a container has none

	"github.com/roombus/roombus/internal/interrupt"
)

func main() {
	os.Exit(Run(interrupt.Context(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
