package fault_test

import (
	"os"
	"testing"
	"time"

	"github.com/roombus/roombus/internal/harness"
)

// How long a test awaits something, and how often it looks.
const (
	waiting = 30 * time.Second
	tick    = 20 * time.Millisecond
)

// TestMain runs the tests, or a worker of theirs: they start this program again for those.
func TestMain(m *testing.M) {
	if app := os.Getenv(workerApp); app != "" {
		workerMain(app)
		return
	}
	harness.Main(m)
}
