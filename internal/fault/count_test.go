package fault_test

import (
	"os"
	"runtime"
	"testing"
)

// count returns how many items a test makes: the short number, or the full number with
// ROOMBUS_SOAK.
func count(short, full int) int {
	if os.Getenv("ROOMBUS_SOAK") == "" {
		return short
	}
	return full
}

// logUse logs the memory and goroutines that this process uses.
func logUse(t testing.TB, when string) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("%s: %d MiB of heap, %d goroutines", when, m.HeapAlloc>>20, runtime.NumGoroutine())
}
