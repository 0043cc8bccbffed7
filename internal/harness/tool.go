package harness

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Third-party programs that tests run, with the tested versions.
const (
	NATSCLI    = "github.com/nats-io/natscli/nats@v0.5.1"
	NATSServer = "github.com/nats-io/nats-server/v2@v2.15.2"
	Gofail     = "go.etcd.io/gofail@v0.2.0"
	// OldNATSServer is a version that roombus must refuse.
	OldNATSServer = "github.com/nats-io/nats-server/v2@v2.10.29"
)

// Tool returns the program of a Go package. It is installed through the module proxy and kept in
// the user's cache for the next run.
func Tool(t testing.TB, pkg string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	dir := filepath.Join(cache, "roombus-tools", strings.NewReplacer("/", "_", "@", "_").Replace(pkg))
	module, _, _ := strings.Cut(pkg, "@")
	name := path.Base(module)
	if name == "v2" {
		name = path.Base(path.Dir(module))
	}
	program := filepath.Join(dir, name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	install := exec.Command("go", "install", pkg)
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	out, err := install.CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

// Program returns the path of an installed program. If it is missing, the test is skipped, or in CI
// fails.
func Program(t testing.TB, name string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		SkipOutsideCI(t, "needs %s: %v", name, err)
	}
	return program
}

// SkipOutsideCI skips the test because a requirement is missing. In CI it fails the test.
func SkipOutsideCI(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
