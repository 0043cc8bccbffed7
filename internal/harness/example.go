package harness

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Example builds an example and runs it against the bus.
func Example(t testing.TB, name, url string, env ...string) *Process {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("go", "build", "-o", binary, "github.com/roombus/roombus/examples/"+name).CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(binary)
	cmd.Env = Env(t.TempDir(), append(env, "NATS_URL="+url)...)
	return StartCmd(t, cmd)
}
