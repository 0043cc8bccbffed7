package bench

import (
	"math"
	"strconv"
)

// quantileMarks are at equal distances on the axis of a distribution, so that the slowest
// thousandth gets as much room as the faster half.
var quantileMarks = []float64{1, 50, 90, 99, 99.9}

// quantileAt returns the quantile, in percent, at a place on the axis, from 0 to 1. Between two
// marks the remaining share shrinks by the same factor at every step.
func quantileAt(place float64) float64 {
	spans := float64(len(quantileMarks) - 1)
	span := min(math.Floor(place*spans), spans-1)
	from, to := 100-quantileMarks[int(span)], 100-quantileMarks[int(span)+1]
	return 100 - from*math.Pow(to/from, place*spans-span)
}

// markAt returns the name of the mark at a place.
func markAt(place float64) string {
	mark := int(math.Round(place * float64(len(quantileMarks)-1)))
	return "p" + strconv.FormatFloat(quantileMarks[mark], 'f', -1, 64)
}

// leastLatency is the shortest latency on a plot, in milliseconds. It keeps the logarithm finite.
const leastLatency = 0.001

// curve returns the latencies at so many places of the axis, as powers of two of a millisecond:
// equal distances are equal factors.
func (f *Figures) curve(points int) []float64 {
	all := make([]float64, points)
	for n := range all {
		all[n] = math.Log2(max(f.latencies.At(quantileAt(float64(n)/float64(points-1))), leastLatency))
	}
	return all
}

// doublings returns an axis of powers of two around curves. low and high are whole numbers, and a
// whole number of steps apart, in roughly so many steps.
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
