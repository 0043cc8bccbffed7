package e2e_test

import (
	"os"
	"testing"

	"github.com/roombus/roombus/internal/harness"
)

// TestMain runs the tests, or a worker: tests that need a worker process start this program again.
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
