package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// The timeouts for a process to start serving and to end.
const (
	startTimeout = 60 * time.Second
	endTimeout   = 10 * time.Second
)

// EndedError is returned when a process of the benchmark ends too early.
type EndedError struct {
	Process string // its name
	Err     error  // its last message and exit status; nil if it reported no error
}

func (e *EndedError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("process %s has ended", e.Process)
	}
	return fmt.Sprintf("process %s has ended: %v", e.Process, e.Err)
}

func (e *EndedError) Unwrap() error { return e.Err }

// child is a process of the stage. It ends when its standard input closes, and so when this process
// dies.
type child struct {
	part  Part
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when err is set
	err   error
}

// launch starts a process and returns when it serves.
func launch(ctx context.Context, p Part, command []string, env []string) (*child, error) {
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // closing its input ends it first
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	var said lastLine
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	c := &child{part: p, cmd: cmd, stdin: in, ended: make(chan struct{})}
	serving := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		if lines.Scan() && lines.Text() == ready {
			close(serving)
		}
		_, _ = io.Copy(io.Discard, out)
		err := cmd.Wait()
		if text := said.String(); text != "" {
			err = errors.Join(err, errors.New(text))
		}
		c.err = &EndedError{Process: p.Name, Err: err}
		close(c.ended)
	}()
	select {
	case <-serving:
		return c, nil
	case <-c.ended:
		return nil, c.err
	case <-time.After(startTimeout):
		c.kill()
		return nil, fmt.Errorf("process %s does not serve after %s", p.Name, startTimeout)
	case <-ctx.Done():
		c.kill()
		return nil, ctx.Err()
	}
}

// end lets the process finish, and kills it after a timeout.
func (c *child) end() {
	_ = c.stdin.Close() // it may have ended already
	select {
	case <-c.ended:
	case <-time.After(endTimeout):
		c.kill()
	}
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended already
	<-c.ended
}

// lastLine keeps the last line that was written to it.
type lastLine struct {
	mu   sync.Mutex
	line []byte
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lines := bytes.Split(bytes.TrimSpace(p), []byte("\n")); len(lines[len(lines)-1]) > 0 {
		l.line = bytes.Clone(lines[len(lines)-1])
	}
	return len(p), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.line))
}
