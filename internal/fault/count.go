package fault

import (
	"os"
	"runtime"
	"testing"
)

// Count is how many of something a test makes: a number that suits the short form, or the full
// one for ROOMBUS_SOAK.
func Count(short, full int) int {
	if os.Getenv("ROOMBUS_SOAK") == "" {
		return short
	}
	return full
}

// LogUse writes to the test's log what this process has in use.
func LogUse(t testing.TB, when string) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("%s: %d MiB of heap, %d goroutines", when, m.HeapAlloc>>20, runtime.NumGoroutine())
}
