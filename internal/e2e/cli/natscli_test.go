package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
)

// TestNATSCLI runs docs/nats-cli.md.
func TestNATSCLI(t *testing.T) {
	t.Parallel()
	runPage(t, "docs/nats-cli.md")
}

// TestPoliciesPage runs docs/policies.md.
func TestPoliciesPage(t *testing.T) {
	t.Parallel()
	runPage(t, "docs/policies.md")
}

// runPage runs the commands of a page in order, with the real CLIs, against a new service, and compares
// their output with the page. The commands run in a folder with the files of the page and the examples.
func runPage(t *testing.T, page string) {
	t.Helper()
	dir := t.TempDir()
	examples, err := filepath.Abs(filepath.Join(root, "examples"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(examples, filepath.Join(dir, "examples")))
	tools := []string{filepath.Dir(harness.Tool(t, harness.NATSCLI)), filepath.Dir(harness.Binary(t)), os.Getenv("PATH")}
	service, url := harness.ServeProcess(t)
	env := harness.Env(t.TempDir(), "NATS_URL="+url, "PATH="+strings.Join(tools, string(os.PathListSeparator)))

	watched := make(map[*harness.Output]step)
	for _, s := range readPage(t, filepath.Join(root, page)) {
		if s.file != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, s.file), []byte(strings.Join(s.shown, "\n")), 0o600))
			continue
		}
		if s.command == "" {
			s.await(t, service.Stderr)
			continue
		}
		t.Logf("%d: %s", s.line, s.command)
		line, background := strings.CutSuffix(s.command, " &")
		cmd := exec.Command("sh", "-c", "exec 2>&1; exec "+line) // without a shell in between, the harness can end it
		cmd.Env, cmd.Dir = env, dir
		p := harness.StartCmd(t, cmd)
		if background {
			s.first(t).await(t, p.Stdout)
			watched[p.Stdout] = s
			continue
		}
		fails := slices.ContainsFunc(s.shown, func(l string) bool {
			return strings.HasPrefix(l, "nats: error:") || strings.HasPrefix(l, "roombus: ")
		})
		assert.Equal(t, fails, p.Wait() != 0, "line %d of the page: exit status of %s", s.line, s.command)
		s.compare(t, p.Stdout.String())
	}
	for output, s := range watched {
		s.await(t, output)
	}
}

// step is a command of the page with the output on the page, or a file with its lines, or with neither,
// lines of the service's log. An ellipsis stands for omitted text, in a line or as a line.
type step struct {
	line    int // its line on the page
	command string
	file    string
	shown   []string
}

const ellipsis = "…"

// fileName is a comment with the name of the file that the next block shows.
var fileName = regexp.MustCompile(`^<!-- file: (\S+) -->$`)

// readPage takes the steps from a page's code blocks: console for commands with their output, text
// for the service's log, yaml for a file.
func readPage(t *testing.T, file string) []step {
	t.Helper()
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	var steps []step
	block := "" // the language of the current block
	named := "" // the name of the next file
	for n, line := range strings.Split(string(page), "\n") {
		command, typed := strings.CutPrefix(line, "$ ")
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence:
			block = fence
			require.Contains(t, []string{"", "console", "text", "yaml"}, block, "line %d: nothing runs this block", n+1)
			switch block {
			case "text":
				steps = append(steps, step{line: n + 1})
			case "yaml":
				require.NotEmpty(t, named, "line %d: this block needs the name of a file before it", n+1)
				steps = append(steps, step{line: n + 1, file: named})
				named = ""
			}
		case block == "" && fileName.MatchString(line):
			named = fileName.FindStringSubmatch(line)[1]
		case block == "console" && typed:
			steps = append(steps, step{line: n + 1, command: command})
		case block != "" && line != "":
			last := &steps[len(steps)-1]
			last.shown = append(last.shown, line)
		}
	}
	require.NotEmpty(t, steps)
	return steps
}

// first is the step with only the first line of its output: a command that keeps running is ready
// once it has written that line.
func (s step) first(t *testing.T) step {
	t.Helper()
	require.NotEmpty(t, s.shown, "line %d of the page: nothing says when %s is ready", s.line, s.command)
	s.shown = s.shown[:1]
	return s
}

// await waits until the output has every line of the step.
func (s step) await(t *testing.T, output *harness.Output) {
	t.Helper()
	for _, line := range s.shown {
		if line != ellipsis {
			output.Await(t, pattern(line))
		}
	}
}

// compare checks that the output has every line of the step, and no other unless there is an
// ellipsis. It ignores the order, because the order of headers is random.
func (s step) compare(t *testing.T, output string) {
	t.Helper()
	rest := slices.DeleteFunc(strings.Split(output, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	var missing []string
	for _, line := range s.shown {
		if line == ellipsis {
			continue
		}
		n := slices.IndexFunc(rest, regexp.MustCompile(pattern(line)).MatchString)
		if n < 0 {
			missing = append(missing, line)
			continue
		}
		rest = slices.Delete(rest, n, n+1)
	}
	assert.Empty(t, missing, "line %d of the page shows what %s does not write; it wrote:\n%s", s.line, s.command, output)
	if !slices.Contains(s.shown, ellipsis) {
		assert.Empty(t, rest, "line %d of the page does not show all that %s writes", s.line, s.command)
	}
}

// pattern matches the line, with gaps of any width.
func pattern(line string) string {
	p := regexp.QuoteMeta(strings.Join(strings.Fields(line), " "))
	p = strings.NewReplacer(" ", `[ \t]+`, ellipsis, `.*`).Replace(p)
	return `(?m)^[ \t]*` + p + `[ \t]*$`
}
