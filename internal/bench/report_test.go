package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/latency"
)

// done returns a slice of so many commands in a second, each with that latency.
func done(n int, took time.Duration) *slice {
	s := &slice{done: make([]request, n), took: time.Second, latencies: latency.New()}
	for range n {
		s.latencies.Add(took)
	}
	s.usage.service.CPU = time.Duration(n) * 30 * time.Microsecond
	return s
}

func measured() *Result {
	r := newResult(Cell{Command: Join, Apps: 3, Policies: 5, Rooms: 100_000, Concurrency: 256})
	r.Comparison = &Comparison{}
	r.compare(done(100, time.Millisecond), done(200, time.Millisecond))
	r.compare(done(300, time.Millisecond), done(400, time.Millisecond))
	r.compare(done(90, time.Millisecond), done(100, time.Millisecond))
	r.add(done(100, 4*time.Millisecond), done(200, 2*time.Millisecond))
	r.add(done(300, 4*time.Millisecond), done(400, 2*time.Millisecond))
	r.add(done(90, 4*time.Millisecond), done(100, 2*time.Millisecond))
	r.finish(49)
	return r
}

func allFailed() *Result {
	r := newResult(Cell{Command: Create, Concurrency: 1})
	s := done(0, 0)
	s.failed, s.failure = 7, "no service answers"
	r.add(s, done(0, 0))
	r.finish(0)
	return r
}

func TestResult_RatioOfNeighbouringSlices(t *testing.T) {
	t.Parallel()
	r := measured()
	assert.Equal(t, Ratio{Throughput: 0.75, Least: 0.5, Most: 0.9, P50: r.Ratio.P50}, r.Ratio)
	assert.InEpsilon(t, 2, r.Ratio.P50, 0.001)
	assert.InDelta(t, 0.1, r.Conflicts, 0)
	assert.InDelta(t, 30, r.Floor.ServiceCPU, 0)
	assert.Equal(t, Spread{Median: 0.75, Least: 0.5, Most: 0.9}, r.Comparison.Throughput)
	assert.Equal(t, Spread{Median: 1, Least: 1, Most: 1}, r.Comparison.TotalCPU)
}

func TestResult_AllCommandsFailed(t *testing.T) {
	t.Parallel()
	r := allFailed()
	assert.Zero(t, r.Ratio)
	_, err := json.Marshal(r)
	require.NoError(t, err)
	failed, all := Failed([]*Result{measured(), r})
	assert.Equal(t, []int{7, 1190 + 7}, []int{failed, all})
}

func TestTables(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, WriteTables(&out, []*Result{measured(), allFailed()}))
	text := out.String()
	assert.Regexp(t, `(?m)^ +join +3 +5 +100000 +256 +163 +233 +0\.75 +0\.50-0\.90 +4\.00 +4\.00 +4\.00 +4\.00 +2\.00 +2\.00 +0$`, text)
	assert.Regexp(t, `(?m)^ +join +3 +5 +100000 +256 +30 +30 +1\.00 .* 0\.100$`, text)
	assert.Regexp(t, `(?m)^ +create +0 +0 +new +1 +0 +0 +0\.00 .* 7$`, text)
	assert.Regexp(t, `(?m)^ +join +3 +5 +100000 +256 +0 +163 +0\.75 +0\.50-0\.90 +30 +1\.00 +1\.00-1\.00$`, text)
	assert.NotRegexp(t, `(?m)^ +create .* +1\.00-1\.00$`, text, "it is compared with nothing")
	assert.Contains(t, text, "create, 0 apps, 1 at once: 7 of 7 commands failed on roombus; the first: no service answers\n")
	assert.NotContains(t, text, "failed on floor")
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 160)
	}
	out.Reset()
	require.NoError(t, WriteTables(&out, []*Result{allFailed()}))
	assert.NotContains(t, out.String(), "Cost of policies\n")
	out.Reset()
	require.NoError(t, WriteTables(&out, nil))
	assert.Empty(t, out.String())
}

func TestCharts(t *testing.T) {
	t.Parallel()
	var plain, coloured, none bytes.Buffer
	WriteChart(&plain, measured(), false)
	assert.Regexp(t, `(?m)^ +4 ?┼─+$`, plain.String())
	assert.Regexp(t, `(?m)^ +2 ?┼·+$`, plain.String())
	assert.NotContains(t, plain.String(), "\x1b")
	WriteChart(&coloured, measured(), true)
	assert.Contains(t, coloured.String(), "\x1b")
	WriteChart(&none, allFailed(), false)
	assert.Empty(t, none.String())
}

func TestWriteHTML(t *testing.T) {
	t.Parallel()
	r := allFailed()
	r.Roombus.Failure = "<script>"
	var out bytes.Buffer
	require.NoError(t, WriteHTML(&out, []*Result{measured(), r}))
	page := out.String()
	assert.Equal(t, 5, strings.Count(page, "<svg"), "two of throughput, two of ratios, one of latencies")
	assert.NotContains(t, page, "rgb(", "colours are those of the page")
	assert.Contains(t, page, "the first: &lt;script&gt;")
	assert.Contains(t, page, `<td class="ratio">0.75</td>`)
}
