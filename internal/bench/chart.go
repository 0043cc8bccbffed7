package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/guptarohit/asciigraph"
)

// The size of a chart, in characters; there are so many lines for a doubling.
const (
	chartWidth  = 73
	chartDouble = 2
)

// WriteChart draws how the latencies of both sides are distributed. It draws nothing where nothing
// was done.
func WriteChart(w io.Writer, r *Result, colours bool) {
	if r.Roombus.Commands == 0 || r.Floor.Commands == 0 {
		return
	}
	curves := [][]float64{r.Floor.curve(chartWidth), r.Roombus.curve(chartWidth)} // the latter over the former
	low, high := doublings(curves...)
	options := []asciigraph.Option{
		asciigraph.Height(int(high-low) * chartDouble), asciigraph.LowerBound(low), asciigraph.UpperBound(high),
		asciigraph.YAxisValueFormatter(func(v float64) string {
			if whole := math.Round(v); math.Abs(v-whole) < 1e-6 {
				return strconv.FormatFloat(math.Exp2(whole), 'g', 3, 64)
			}
			return ""
		}),
		asciigraph.XAxisRange(0, 1), asciigraph.XAxisTickCount(len(quantileMarks)),
		asciigraph.XAxisValueFormatter(func(place float64) string { return markAt(place) }),
		asciigraph.SeriesChars(asciigraph.CreateCharSet("·"), asciigraph.DefaultCharSet),
	}
	if colours {
		options = append(options, asciigraph.SeriesColors(asciigraph.DarkGray, asciigraph.Blue))
	}
	fmt.Fprintf(w, "%s: latency in ms of roombus (─) and the floor (·)\n", r.Cell)
	for line := range strings.Lines(asciigraph.PlotMany(curves, options...)) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
	fmt.Fprintln(w)
}

// markAt is the name of the mark at a place on the axis of a distribution.
func markAt(place float64) string {
	mark := int(math.Round(place * float64(len(quantileMarks)-1)))
	if mark == 0 {
		return "min"
	}
	return "p" + strconv.FormatFloat(quantileMarks[mark], 'f', -1, 64)
}
