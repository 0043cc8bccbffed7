package harness

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// programs is the environment variable with the folder of the programs that tests run. "make test"
// builds them for all packages at once. Without it each package builds those that it runs, so that
// "go test" never runs an old program.
const programs = "ROOMBUS_TEST_PROGRAMS"

// built are the programs that this package has built.
var built struct {
	dir  string // Main creates and removes it
	mu   sync.Mutex
	done map[string]bool
}

// Main runs the tests of a package that uses Binary or Example, then removes the programs. It fails
// if the tests leak a goroutine.
func Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "roombus-test-")
	if err != nil {
		panic(err)
	}
	built.dir, built.done = dir, make(map[string]bool)
	debug.SetGCPercent(200)        // under the race detector, servers and services collect garbage most of the time
	if os.Getenv("GORACE") == "" { // with the race detector, a program sleeps for a second before it exits
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(dir)
		os.Exit(status)
	}))
}

// Binary returns the roombus program, with the race detector if the tests use it.
func Binary(t testing.TB) string {
	t.Helper()
	return program(t, "cmd/roombus")
}

// Example runs an example against the bus.
func Example(t testing.TB, name, url string, env ...string) *Process {
	t.Helper()
	cmd := exec.Command(program(t, "examples/"+name))
	cmd.Env = Env(t.TempDir(), append(env, "NATS_URL="+url)...)
	return StartCmd(t, cmd)
}

// program returns the program of a package of the module. It is built once for all tests.
func program(t testing.TB, pkg string) string {
	t.Helper()
	if dir := os.Getenv(programs); dir != "" {
		file := filepath.Join(dir, path.Base(pkg))
		require.FileExists(t, file, "%s=%s lacks a program: run make test, or unset it", programs, dir)
		return file
	}
	require.NotEmpty(t, built.dir, "the package's TestMain must call harness.Main")
	built.mu.Lock()
	defer built.mu.Unlock()
	file := filepath.Join(built.dir, path.Base(pkg))
	if !built.done[file] {
		args := append([]string{"build", "-o", file}, BuildFlags()...)
		out, err := exec.Command("go", append(args, "github.com/roombus/roombus/"+pkg)...).CombinedOutput()
		require.NoError(t, err, string(out))
		built.done[file] = true
	}
	return file
}
