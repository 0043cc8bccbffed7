package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Disk is a small disk in the mount namespace of one process. It disappears with the process.
type Disk struct {
	Dir string // for the process
	mib int
	cmd *exec.Cmd
}

// NewDisk makes a disk for the command of Cmd. It skips the test if the system does not allow the
// test to mount.
func NewDisk(t testing.TB, mib int) *Disk {
	t.Helper()
	d := &Disk{Dir: t.TempDir(), mib: mib}
	if out, err := d.wrap("true").CombinedOutput(); err != nil {
		t.Skipf("needs to mount a disk in a user namespace (unshare -rm): %v: %s", err, out)
	}
	return d
}

// Cmd returns the command for a program that sees the disk.
func (d *Disk) Cmd(program string, args ...string) *exec.Cmd {
	d.cmd = d.wrap(append([]string{program}, args...)...)
	return d.cmd
}

// Loop returns the command for a program that sees the disk and is restarted whenever it ends.
func (d *Disk) Loop(program string, args ...string) *exec.Cmd {
	d.cmd = d.wrap(append([]string{"sh", "-c", `while :; do "$@"; done`, "sh", program}, args...)...)
	// When the first process of a PID namespace ends, the kernel kills the others.
	d.cmd.Args = slices.Insert(d.cmd.Args, 1, "--pid", "--fork", "--kill-child")
	return d.cmd
}

// EndLooped ends the program of Loop.
func (d *Disk) EndLooped(t testing.TB) {
	t.Helper()
	require.NoError(t, syscall.Kill(childOf(t, childOf(t, d.cmd.Process.Pid)), syscall.SIGTERM))
}

func childOf(t testing.TB, pid int) (child int) {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	require.NoError(t, err)
	_, err = fmt.Sscan(string(children), &child)
	require.NoError(t, err)
	return child
}

func (d *Disk) wrap(command ...string) *exec.Cmd {
	mount := fmt.Sprintf(`mount -t tmpfs -o size=%dm tmpfs %s && exec "$@"`, d.mib, d.Dir)
	return exec.Command("unshare", append([]string{"--map-root-user", "--mount", "sh", "-c", mount, "sh"}, command...)...)
}

// Fill allocates a file that fills the disk, or that has atMost bytes. It does not write the bytes:
// that would give a program that watches its disk time to react.
func (d *Disk) Fill(t testing.TB, atMost int64) (size int64) {
	t.Helper()
	f, err := os.Create(d.ballast())
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	for step := int64(1 << 20); step >= int64(os.Getpagesize()); {
		step = min(step, atMost-size)
		if step == 0 {
			break
		}
		switch err := syscall.Fallocate(int(f.Fd()), 0, size, step); {
		case err == nil:
			size += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		default:
			require.NoError(t, err)
		}
	}
	return size
}

// Empty removes the file.
func (d *Disk) Empty(t testing.TB) {
	t.Helper()
	require.NoError(t, os.Remove(d.ballast()))
}

// ballast is the path of the file, seen from outside the namespace.
func (d *Disk) ballast() string {
	return filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "root", d.Dir, "ballast")
}
