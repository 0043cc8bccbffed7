package fault_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomclient"
)

// newBus returns a server, and clients of a room service that is not started yet.
func newBus(t *testing.T) *harness.Bus {
	t.Helper()
	server := harness.NewServer(t)
	nc := harness.Connect(t, server)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return &harness.Bus{Server: server, NC: nc, JS: js, Client: roomclient.New(nc, roomclient.Config{})}
}

// serveFailing starts a room service with failpoints, and sets these terms.
func serveFailing(t *testing.T, b *harness.Bus, terms string, flags ...string) *harness.Process {
	t.Helper()
	p := startFailing(t, b, terms, "roombus", append([]string{"serve", "--nats", b.Server.URL()}, flags...)...)
	p.Stderr.Await(t, `msg=serving`)
	return p
}

// picky is the app in testdata.
const picky = "picky"

// workFailing starts a worker of picky with failpoints, and sets these terms.
func workFailing(t *testing.T, b *harness.Bus, terms string) *harness.Process {
	t.Helper()
	p := startFailing(t, b, terms, picky)
	p.Stderr.Await(t, "msg=serving app="+picky)
	return p
}

func startFailing(t *testing.T, b *harness.Bus, terms, program string, args ...string) *harness.Process {
	t.Helper()
	cmd := exec.Command(filepath.Join(failing(t), program), args...)
	cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+b.Server.URL(), "GOFAIL_FAILPOINTS="+terms)
	return harness.StartCmd(t, cmd)
}

var (
	failingOnce sync.Once
	failingDir  string
)

// failing returns the folder of the programs with failpoints. They are built once, from a copy of
// the module.
func failing(t *testing.T) string {
	t.Helper()
	failingOnce.Do(func() {
		gofail := harness.Tool(t, harness.Gofail)
		dir := copyModule(t)
		run := func(program string, args ...string) {
			cmd := exec.Command(program, args...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		run(gofail, "enable", "bus", "roomsvc", "roomsvc/projection", "appworker/internal/consumer")
		_, version, _ := strings.Cut(harness.Gofail, "@")
		run("go", "mod", "edit", "-require=go.etcd.io/gofail@"+version)
		programs := filepath.Join(filepath.Dir(harness.Binary(t)), "failing") // removed together with the binary
		args := append([]string{"build", "-mod=mod", "-o", programs + "/"}, harness.BuildFlags()...)
		run("go", append(args, "./cmd/roombus", "./internal/fault/testdata/picky")...)
		failingDir = programs
	})
	require.NotEmpty(t, failingDir, "they could not be built")
	return failingDir
}

// copyModule copies the sources of the programs.
func copyModule(t *testing.T) string {
	t.Helper()
	from, to := filepath.Join("..", ".."), t.TempDir()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != from && strings.HasPrefix(name, "."):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".go", ".mod", ".sum", ".tmpl", ".yaml"}, filepath.Ext(name)) || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	}))
	return to
}
