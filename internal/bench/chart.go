package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/guptarohit/asciigraph"
)

// The size of a chart. The vertical axis has chartMarks marks, and chartLines lines between two
// marks.
const (
	chartWidth = 73
	chartMarks = 6
	chartLines = 2
)

// WriteChart draws the latency distributions of both sides. It draws nothing if a side has no
// latencies.
func WriteChart(w io.Writer, r *Result, colours bool) {
	if r.Roombus.Commands == 0 || r.Floor.Commands == 0 {
		return
	}
	curves := [][]float64{r.Floor.curve(chartWidth), r.Roombus.curve(chartWidth)} // the latter is drawn over the former
	low, high, step := doublings(chartMarks, curves...)
	options := []asciigraph.Option{
		asciigraph.Height(int((high-low)/step) * chartLines), asciigraph.LowerBound(low), asciigraph.UpperBound(high),
		asciigraph.YAxisValueFormatter(func(v float64) string {
			if mark := math.Round(v/step) * step; math.Abs(v-mark) < 1e-6 {
				return strconv.FormatFloat(math.Exp2(mark), 'g', 3, 64)
			}
			return ""
		}),
		asciigraph.XAxisRange(0, 1), asciigraph.XAxisTickCount(len(quantileMarks)),
		asciigraph.XAxisValueFormatter(markAt),
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
