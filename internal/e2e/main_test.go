package e2e_test

import (
	"os"
	"testing"

	"github.com/roombus/roombus/internal/harness"
)

// TestMain runs the tests, or a worker of theirs: they start this program again for those
// that must be processes.
func TestMain(m *testing.M) {
	if manifest := os.Getenv(workerManifest); manifest != "" {
		workerMain(manifest)
		return
	}
	if kind := os.Getenv(drainWorker); kind != "" {
		drainMain(kind, os.Getenv(drainApp))
		return
	}
	harness.Main(m)
}
