package fault_test

import (
	"os"
	"testing"
	"time"

	"github.com/roombus/roombus/internal/harness"
)

// How long a test waits, and how often it polls.
const (
	waiting = 30 * time.Second
	tick    = 20 * time.Millisecond
)

// TestMain runs the tests, or a worker: tests start this program again for their workers.
func TestMain(m *testing.M) {
	if app := os.Getenv(workerApp); app != "" {
		workerMain(app)
		return
	}
	harness.Main(m)
}
