package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
)

// notRun marks a block that no test can run, with the reason.
var notRun = regexp.MustCompile("(?m)^<!-- not run: .+ -->\n```sh\n")

// shell runs a block of commands in the folder, with GOBIN in its PATH.
func shell(t *testing.T, dir, gobin, url, block string) *harness.Process {
	t.Helper()
	cmd := exec.Command("bash", "-ec", block)
	cmd.Dir = dir
	cmd.Env = harness.Env(t.TempDir(), "NATS_URL="+url, "GOBIN="+gobin, "PATH="+gobin+":"+os.Getenv("PATH"),
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"))
	return harness.StartCmd(t, cmd)
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	value, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(value))
}

// startPage is docs/start.md. Its blocks are taken in the order of the page.
type startPage struct {
	t      *testing.T
	blocks []string
	clone  string
	gobin  string
}

func newStartPage(t *testing.T) *startPage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/start.md"))
	require.NoError(t, err)
	assert.Len(t, regexp.MustCompile("(?m)^```").FindAllString(string(text), -1),
		2*len(fenced(t, "docs/start.md", "sh")), "every block is one of commands")
	marked := notRun.ReplaceAllString(string(text), "```text\n")
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(marked, -1) {
		blocks = append(blocks, m[1])
	}
	clone, err := filepath.Abs(root)
	require.NoError(t, err)
	gobin, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return &startPage{t: t, blocks: blocks, clone: clone, gobin: gobin}
}

// next returns the next block.
func (p *startPage) next() string {
	p.t.Helper()
	require.NotEmpty(p.t, p.blocks)
	block := p.blocks[0]
	p.blocks = p.blocks[1:]
	return block
}

// is takes a block that another test runs, or that runs differently here.
func (p *startPage) is(want string) {
	p.t.Helper()
	require.Equal(p.t, want, p.next())
}

// run runs the next block in the folder to its end.
func (p *startPage) run(dir, url string) string {
	p.t.Helper()
	process := shell(p.t, dir, p.gobin, url, p.next())
	require.Zero(p.t, process.WaitFor(10*time.Minute), "it may have to build everything")
	return process.Stdout.String()
}

// clients runs a block of roombus commands. A comment is the expected output of its command.
func clients(t *testing.T, url, block string) {
	t.Helper()
	c := harness.NewCLI(t, url)
	for line := range strings.Lines(block) {
		command, says, _ := strings.Cut(strings.TrimPrefix(line, "roombus "), "#")
		status, stdout, stderr := c.Run(strings.Fields(command)...)
		assert.Equal(t, strings.Contains(says, "denied"), status != 0, "%s: %s", command, stderr)
		assert.Contains(t, stdout+stderr, strings.TrimSpace(says))
	}
}

func TestStartPage(t *testing.T) { //nolint:tparallel // one block after the other
	t.Parallel()
	p := newStartPage(t)
	p.run(p.clone, "") // roombus
	p.is("go install " + harness.NATSCLI + "\n")
	harness.Tool(t, harness.NATSCLI)
	serve := shell(t, t.TempDir(), p.gobin, "", "exec "+strings.TrimSpace(p.next())+" --listen 127.0.0.1:0")
	url := serve.Stderr.Await(t, `url=(nats://\S+)`)[1]
	serve.Stderr.Await(t, "msg=serving rooms=0")
	beside := t.TempDir()
	require.NoError(t, os.Symlink(p.clone, filepath.Join(beside, "roombus")))
	p.run(beside, url)
	shell(t, filepath.Join(beside, "first"), p.gobin, url, "exec ./first").Stderr.Await(t, "msg=serving app=guard")

	p.is("go run ./examples/onboarding\n")
	harness.Example(t, "onboarding", url).Stderr.Await(t, "msg=serving app=onboarding")
	clients(t, url, p.next())

	p.is("cd examples/node\nnpm ci\nnpm start\n") // nodeWorker does so
	p.worker("node", url, nodeWorker)
	p.is("python3 examples/python/worker.py\n")
	p.worker("python", url, pythonWorker)

	p.is("go run ./examples/httpfront\n")
	requests := p.next()
	t.Run("HTTP front", func(t *testing.T) { sendRequests(t, url, requests) })
	p.is("go test ./room/... ./subjects ./examples/...\n")
	assert.Empty(t, p.blocks)
}

// worker runs a worker, if its requirements are installed, and the next block of commands.
func (p *startPage) worker(language, url string, prepare func(*testing.T) foreign) {
	block := p.next()
	p.t.Run(language, func(t *testing.T) {
		prepare(t).start(t, url).Stdout.Await(t, "registered")
		clients(t, url, block)
	})
}

// sendRequests runs a block of requests to the HTTP front.
func sendRequests(t *testing.T, url, block string) {
	t.Helper()
	harness.Program(t, "curl")
	front := harness.Example(t, "httpfront", url, "HTTP_ADDR=127.0.0.1:0")
	address := front.Stderr.Await(t, `url=http://(\S+)`)[1]
	block = strings.NewReplacer("localhost:8080", address, "curl ", "curl --silent ").Replace(block)
	answers := shell(t, t.TempDir(), t.TempDir(), url, block)
	require.Zero(t, answers.Wait())
	lines := strings.Split(strings.TrimSpace(answers.Stdout.String()), "\n")
	require.Len(t, lines, 4)
	for n, says := range []string{`"changed":true`, `"id":"join-1"`, `"memberCount":3`, `"changed":false`} {
		assert.Contains(t, lines[n], says)
	}
}
