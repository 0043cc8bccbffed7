package appworker_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The packages that apps and clients import do not depend on the NATS server.
func TestImports_NoServer(t *testing.T) {
	t.Parallel()
	const module = "github.com/roombus/roombus/"
	deps, err := exec.Command("go", "list", "-deps", module+"appworker", module+"appworker/appworkertest", module+"roomclient", module+"room", module+"subjects").Output()
	require.NoError(t, err)
	require.Contains(t, string(deps), "github.com/nats-io/nats.go\n")
	for dep := range strings.Lines(string(deps)) {
		for _, unwanted := range []string{"nats-server", "jsm.go", "expr-lang", module + "bus/embedded", module + "roomsvc"} {
			assert.NotContains(t, dep, unwanted)
		}
	}
}

// The binary of a small app stays below 11 MB.
func TestImports_SmallAppIsSmallProgram(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "guard")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/roombus/roombus/examples/guard")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	info, err := os.Stat(program)
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(11_000_000))
}
