package harness

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// CLI runs roombus commands against one bus.
type CLI struct {
	t   testing.TB
	URL string // of the bus
}

// NewCLI returns the commands of the test against the bus with that URL.
func NewCLI(t testing.TB, url string) CLI { return CLI{t: t, URL: url} }

// Run runs a command to its end.
func (c CLI) Run(args ...string) (status int, stdout, stderr string) {
	c.t.Helper()
	cmd := exec.Command(Binary(c.t), args...)
	cmd.Env = Env(c.t.TempDir(), "NATS_URL="+c.URL)
	p := StartCmd(c.t, cmd)
	status = p.Wait()
	return status, p.Stdout.String(), p.Stderr.String()
}

// OK runs a command that must succeed and write nothing to stderr.
func (c CLI) OK(args ...string) string {
	c.t.Helper()
	status, stdout, stderr := c.Run(args...)
	require.Zero(c.t, status, stderr)
	require.Empty(c.t, stderr)
	return stdout
}

// Fails runs a command that must end with the status and write nothing to stdout. It writes one
// line to stderr, and below it indented lines with the verdicts of apps.
func (c CLI) Fails(status int, args ...string) string {
	c.t.Helper()
	got, stdout, stderr := c.Run(args...)
	assert.Equal(c.t, status, got, stderr)
	assert.Empty(c.t, stdout)
	assert.Regexp(c.t, `^roombus: [^\n]+\n(    [^\n]+\n)*$`, stderr)
	return stderr
}

// JSONLines decodes output with one JSON value on each line.
func JSONLines[T any](t testing.TB, out string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(out) {
		var v T
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		all = append(all, v)
	}
	return all
}

// WontServe runs serve with a mistake that keeps it from starting, and returns its one line. Unless
// the command line is wrong, it logs its identity first.
func WontServe(t testing.TB, args ...string) string {
	t.Helper()
	status, stdout, stderr := RunProgram(t, Binary(t), append([]string{"serve"}, args...)...)
	assert.NotZero(t, status)
	assert.Empty(t, stdout)
	said := regexp.MustCompile(`^(?:time=\S+ level=INFO msg=starting [^\n]+\n)?(roombus: [^\n]+\n)$`).FindStringSubmatch(stderr)
	require.NotNil(t, said, stderr)
	return said[1]
}
