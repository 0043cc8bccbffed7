package appworker

import (
	"fmt"
	"os"

	"github.com/roombus/roombus/internal/interrupt"
)

// Main is the main function of an app: it connects as the environment says, serves until
// SIGINT or SIGTERM, drains, and exits. A second signal exits at once.
func Main(m Manifest, handlers ...any) {
	if err := Run(interrupt.Context(), Config{}, m, handlers...); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", m.ID, err)
		os.Exit(1)
	}
}
