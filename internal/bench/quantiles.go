package bench

import "math"

// quantileMarks are at equal distances on the axis of a distribution, so that the slowest
// thousandth has as much room as the faster half.
var quantileMarks = []float64{0, 50, 90, 99, 99.9}

// quantileAt is the quantile, in percent, at a place on the axis, from 0 to 1. Between two marks
// what remains above shrinks by the same factor at every step.
func quantileAt(place float64) float64 {
	spans := float64(len(quantileMarks) - 1)
	span := min(math.Floor(place*spans), spans-1)
	from, to := 100-quantileMarks[int(span)], 100-quantileMarks[int(span)+1]
	return 100 - from*math.Pow(to/from, place*spans-span)
}

// curve is the latencies in milliseconds at so many places of the axis, as powers of two: what is
// twice as slow is as far away everywhere.
func (f *Figures) curve(points int) []float64 {
	all := make([]float64, points)
	for n := range all {
		all[n] = math.Log2(f.at(quantileAt(float64(n) / float64(points-1))))
	}
	return all
}

// doublings are the whole powers of two around curves.
func doublings(curves ...[]float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, v := range c {
			low, high = min(low, math.Floor(v)), max(high, math.Ceil(v))
		}
	}
	return low, max(high, low+1)
}
