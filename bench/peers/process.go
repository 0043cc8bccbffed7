package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// processes are the apps of one peer. They end when the lifeline closes: when stop is called, or
// when this process dies for any reason.
type processes struct {
	peer     string
	lifeline [2]*os.File // the read end, held by the apps, and the write end, held by this process
	running  []*exec.Cmd
}

func newProcesses(peer string) (*processes, error) {
	held, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making the lifeline: %w", err)
	}
	return &processes{peer: peer, lifeline: [2]*os.File{held, ours}}, nil
}

// appName is the name of the nth app.
func appName(n int) string { return "app" + strconv.Itoa(n) }

// command returns the command line of an app, for the code that manages its process.
func (p *processes) command(app, address string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.Command(self, p.peer, app, address) //nolint:noctx // it ends with the lifeline
	cmd.Env = append(os.Environ(), appEnv+"=1")
	cmd.ExtraFiles = []*os.File{p.lifeline[0]}
	return cmd, nil
}

// start starts the apps and returns the addresses that they report.
func (p *processes) start(ctx context.Context, apps int, address string) ([]string, error) {
	var addresses []string
	for n := range apps {
		said, err := p.startOne(ctx, appName(n), address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", appName(n), err)
		}
		addresses = append(addresses, said)
	}
	return addresses, nil
}

func (p *processes) startOne(ctx context.Context, app, address string) (string, error) {
	cmd, err := p.command(app, address)
	if err != nil {
		return "", err
	}
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	p.running = append(p.running, cmd)
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the app does not report its address: %w", err)
	}
	return strings.TrimSpace(said), nil
}

func (p *processes) stop() {
	for _, end := range p.lifeline {
		_ = end.Close() // fails only if it is already closed
	}
	for _, cmd := range p.running {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()         // the exit status does not matter
	}
}
