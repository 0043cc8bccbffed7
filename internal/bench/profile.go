package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// The sampling rates: one of mutexFraction contention events, and one blocking event for each
// blockRate nanoseconds of blocking.
const (
	mutexFraction = 10
	blockRate     = 10_000
)

// startProfile profiles this process until the returned function is called, which writes the
// profiles as <name>.cpu, .allocs, .mutex and .block.
func startProfile(p Part) (stop func(), err error) {
	if p.Profile == "" {
		return func() {}, nil
	}
	runtime.SetMutexProfileFraction(mutexFraction)
	runtime.SetBlockProfileRate(blockRate)
	path := func(kind string) string { return filepath.Join(p.Profile, p.Name+"."+kind) }
	cpu, err := os.Create(path("cpu"))
	if err != nil {
		return nil, fmt.Errorf("writing profiles: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, fmt.Errorf("profiling: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = cpu.Close()
		for _, kind := range []string{"allocs", "mutex", "block"} {
			if f, err := os.Create(path(kind)); err == nil {
				_ = pprof.Lookup(kind).WriteTo(f, 0)
				_ = f.Close()
			}
		}
	}, nil
}
