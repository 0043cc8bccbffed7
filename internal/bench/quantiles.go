package bench

import (
	"math"
	"strconv"
)

// quantileMarks are at equal distances on the axis of a distribution, so that the slowest
// thousandth has as much room as the faster half.
var quantileMarks = []float64{1, 50, 90, 99, 99.9}

// quantileAt is the quantile, in percent, at a place on the axis, from 0 to 1. Between two marks
// what remains above shrinks by the same factor at every step.
func quantileAt(place float64) float64 {
	spans := float64(len(quantileMarks) - 1)
	span := min(math.Floor(place*spans), spans-1)
	from, to := 100-quantileMarks[int(span)], 100-quantileMarks[int(span)+1]
	return 100 - from*math.Pow(to/from, place*spans-span)
}

// markAt is the name of the mark at a place, which it is at.
func markAt(place float64) string {
	mark := int(math.Round(place * float64(len(quantileMarks)-1)))
	return "p" + strconv.FormatFloat(quantileMarks[mark], 'f', -1, 64)
}

// leastLatency is the shortest that is told from none, in milliseconds.
const leastLatency = 0.001

// curve is the latencies in milliseconds at so many places of the axis, as powers of two: what is
// twice as slow is as far away everywhere.
func (f *Figures) curve(points int) []float64 {
	all := make([]float64, points)
	for n := range all {
		all[n] = math.Log2(max(f.latencies.At(quantileAt(float64(n)/float64(points-1))), leastLatency))
	}
	return all
}

// doublings are powers of two around curves, whole ones that are a whole number of steps apart, in not
// much more than so many steps.
func doublings(steps int, curves ...[]float64) (low, high, step float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, v := range c {
			low, high = min(low, math.Floor(v)), max(high, math.Ceil(v))
		}
	}
	step = max(1, math.Ceil((high-low)/float64(steps)))
	low = math.Floor(low/step) * step
	return low, max(math.Ceil(high/step)*step, low+step), step
}
