package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/internal/latency"
)

func TestQuantileAt_AxisStretchesTheTail(t *testing.T) {
	t.Parallel()
	for place, quantile := range map[float64]float64{0: 1, 0.25: 50, 0.5: 90, 0.75: 99, 1: 99.9, 0.625: 96.838, 0.875: 99.684} {
		assert.InDelta(t, quantile, quantileAt(place), 0.001)
	}
	last := 0.0
	for n := range 101 {
		q := quantileAt(float64(n) / 100)
		assert.Greater(t, q, last)
		last = q
	}
	assert.Equal(t, []string{"p1", "p50", "p90", "p99", "p99.9"}, []string{markAt(0), markAt(0.25), markAt(0.5), markAt(0.75), markAt(1)})
}

func TestCurve_CountsDoublings(t *testing.T) {
	t.Parallel()
	f := Figures{latencies: latency.New()}
	for range 1000 {
		f.latencies.Add(4 * time.Millisecond)
	}
	for _, v := range f.curve(5) {
		assert.InDelta(t, 2, v, 0.001, "4 ms")
	}
	for _, v := range (&Figures{latencies: latency.New()}).curve(5) {
		assert.InDelta(t, -9.966, v, 0.001, "no latency is the least there is")
	}
}

func TestDoublings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		curves          [][]float64
		low, high, step float64
	}{
		{[][]float64{{-1.5, 0}, {2.5}}, -2, 3, 1},
		{[][]float64{{1, 1}}, 1, 2, 1},
		{[][]float64{{-3, 8.5}}, -4, 10, 2},
		{[][]float64{{-9.9, 16}}, -10, 20, 5},
	} {
		low, high, step := doublings(6, c.curves...)
		assert.Equal(t, []float64{c.low, c.high, c.step}, []float64{low, high, step}, c.curves)
	}
}
