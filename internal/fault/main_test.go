package fault_test

import (
	"os"
	"testing"

	"github.com/roombus/roombus/internal/harness"
)

// TestMain runs the tests, or a worker of theirs: they start this program again for those.
func TestMain(m *testing.M) {
	if app := os.Getenv(workerApp); app != "" {
		workerMain(app)
		return
	}
	harness.Main(m)
}
