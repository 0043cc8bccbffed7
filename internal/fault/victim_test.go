package fault_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roombus/roombus/internal/harness"
)

// restartAfter is the pause before a dead victim is started again.
const restartAfter = 100 * time.Millisecond

// victim is a process that a test breaks. It is restarted whenever it ends, as by an init system,
// until the test ends.
type victim struct {
	Name   string
	Output *harness.Output // of all its processes, one after the other

	mu      sync.Mutex
	process *os.Process
	let     bool // it is not restarted
}

// keep keeps the command running.
func keep(t testing.TB, name string, command func() *exec.Cmd) *victim {
	t.Helper()
	v := &victim{Name: name, Output: harness.NewOutput()}
	ctx, cancel := context.WithCancel(context.Background())
	var kept sync.WaitGroup
	kept.Go(func() {
		for ctx.Err() == nil {
			v.live(t, command())
			select {
			case <-time.After(restartAfter):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		v.letDie(t.Failed())
		kept.Wait()
		if t.Failed() {
			t.Logf("%s wrote, last:\n%s", name, tail(v.Output.String()))
		}
	})
	return v
}

// live runs the process once.
func (v *victim) live(t testing.TB, cmd *exec.Cmd) {
	cmd.Stdout, cmd.Stderr = v.Output, v.Output
	if err := v.start(cmd); err != nil {
		t.Errorf("starting %s: %v", v.Name, err)
		return
	}
	if cmd.Process != nil {
		_ = cmd.Wait() // it is killed on purpose
	}
}

func (v *victim) start(cmd *exec.Cmd) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.let {
		return nil
	}
	err := cmd.Start()
	v.process = cmd.Process
	return err
}

// letDie kills the process for good. With explain it makes the process print its goroutines.
func (v *victim) letDie(explain bool) {
	v.mu.Lock()
	v.let = true
	v.mu.Unlock()
	if explain {
		v.Signal(syscall.SIGQUIT)
		return
	}
	v.Signal(syscall.SIGKILL)
}

// Signal sends a signal to the process, if it runs.
func (v *victim) Signal(s syscall.Signal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.process != nil {
		_ = v.process.Signal(s) // it may have ended already
	}
}

func tail(s string) string {
	const most = 64 << 10
	return s[max(0, len(s)-most):]
}
