package fault

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

// restartAfter is how long a victim is left dead.
const restartAfter = 100 * time.Millisecond

// Victim is a process for a test to harm. Whenever it ends it is started again, as an init
// system does, until the test ends.
type Victim struct {
	Name   string
	Output *harness.Output // of all its lives

	mu      sync.Mutex
	process *os.Process
	let     bool // it may die for good
}

// Keep keeps the command running.
func Keep(t testing.TB, name string, command func() *exec.Cmd) *Victim {
	t.Helper()
	v := &Victim{Name: name, Output: harness.NewOutput()}
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

// live is one life of the process.
func (v *Victim) live(t testing.TB, cmd *exec.Cmd) {
	cmd.Stdout, cmd.Stderr = v.Output, v.Output
	if err := v.start(cmd); err != nil {
		t.Errorf("starting %s: %v", v.Name, err)
		return
	}
	if cmd.Process != nil {
		_ = cmd.Wait() // it was to be killed
	}
}

func (v *Victim) start(cmd *exec.Cmd) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.let {
		return nil
	}
	err := cmd.Start()
	v.process = cmd.Process
	return err
}

// letDie kills the process for good. One that is to explain itself says what it was doing.
func (v *Victim) letDie(explain bool) {
	v.mu.Lock()
	v.let = true
	v.mu.Unlock()
	if explain {
		v.Signal(syscall.SIGQUIT)
		return
	}
	v.Signal(syscall.SIGKILL)
}

// Signal sends a signal to the process, if it lives.
func (v *Victim) Signal(s syscall.Signal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.process != nil {
		_ = v.process.Signal(s) // it may have ended
	}
}

func tail(s string) string {
	const most = 64 << 10
	return s[max(0, len(s)-most):]
}
