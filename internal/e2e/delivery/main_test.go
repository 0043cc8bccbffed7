// Package delivery_test tests how apps get post-events: delivery, order, backlogs and dead letters.
package delivery_test

import (
	"os"
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

// TestMain runs the tests, or a worker of BenchmarkDrain.
func TestMain(m *testing.M) {
	if kind := os.Getenv(drainWorker); kind != "" {
		drainMain(kind, os.Getenv(drainApp))
		return
	}
	scene.Main(m)
}
