package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// processTimeout bounds every wait for a process.
const processTimeout = 2 * time.Minute

// Process is a running program. It is killed when the test ends.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	Stdout *Output
	Stderr *Output
	ended  chan struct{}
}

// Env returns the environment without the variables that would lead a program to another NATS
// server, or to the user's own files.
func Env(home string, extra ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NATS_") && !strings.HasPrefix(v, "XDG_") && !strings.HasPrefix(v, "HOME=") {
			env = append(env, v)
		}
	}
	return append(append(env, "HOME="+home), extra...)
}

// Start starts a program in a clean environment.
func Start(t testing.TB, program string, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = Env(t.TempDir())
	return StartCmd(t, cmd)
}

// StartCmd starts the command and captures its output.
func StartCmd(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, Stdout: NewOutput(), Stderr: NewOutput(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	require.NoError(t, cmd.Start())
	go func() {
		_ = cmd.Wait() // ProcessState has the result
		p.Stdout.close()
		p.Stderr.close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		<-p.ended
		if t.Failed() {
			t.Logf("%s\nstdout:\n%s\nstderr:\n%s", cmd, p.Stdout, p.Stderr)
		}
	})
	return p
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// CPU returns the processor time of the process, which must have ended.
func (p *Process) CPU() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// Stop stops the process with SIGSTOP, and returns when it has stopped. A signal alone is not delivered at
// once: the process may serve one more request. Without the proc file system, Stop does not wait.
func (p *Process) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGSTOP)
	require.Eventually(p.t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		return err != nil || strings.Contains(string(stat), ") T ")
	}, processTimeout, time.Millisecond, "%s does not stop", p.cmd)
}

// Wait waits for the end and returns the exit status, -1 if a signal ended it.
func (p *Process) Wait() int {
	p.t.Helper()
	return p.WaitFor(processTimeout)
}

// WaitFor is Wait for a process that takes longer.
func (p *Process) WaitFor(timeout time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(timeout):
		p.t.Fatalf("%s does not end", p.cmd)
		return -1
	}
}

// RunProgram runs a program to its end.
func RunProgram(t testing.TB, program string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	p := Start(t, program, args...)
	status = p.Wait()
	return status, p.Stdout.String(), p.Stderr.String()
}

// Output collects the output of a process or a logger, and lets a test wait for a part of it.
type Output struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	more   chan struct{} // closed and replaced at every write
	closed bool
}

// NewOutput returns an empty Output.
func NewOutput() *Output { return &Output{more: make(chan struct{})} }

var _ io.Writer = (*Output)(nil)

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake()
	return o.buf.Write(b)
}

func (o *Output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.wake()
}

func (o *Output) wake() {
	close(o.more)
	o.more = make(chan struct{})
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Await waits for the pattern, and returns its first match and the groups.
func (o *Output) Await(t testing.TB, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	ctx, cancel := context.WithTimeout(t.Context(), processTimeout)
	defer cancel()
	for {
		o.mu.Lock()
		found, more, closed, all := re.FindStringSubmatch(o.buf.String()), o.more, o.closed, o.buf.String()
		o.mu.Unlock()
		if found != nil {
			return found
		}
		if closed {
			t.Fatalf("the process ended without writing %q; it wrote:\n%s", pattern, all)
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("the process does not write %q; it wrote:\n%s", pattern, all)
		}
	}
}

// ServeProcess starts "roombus serve" with an embedded NATS server on a free port, and returns its
// URL once it serves. It does not wait for workers unless the arguments say so.
func ServeProcess(t testing.TB, args ...string) (p *Process, url string) {
	t.Helper()
	p = Start(t, Binary(t), append([]string{"serve", "--listen", "127.0.0.1:0", "--worker-wait", "-1s"}, args...)...)
	url = p.Stderr.Await(t, `url=(nats://\S+)`)[1]
	p.Stderr.Await(t, `msg=serving`)
	return p, url
}
