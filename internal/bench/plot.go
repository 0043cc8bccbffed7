package bench

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-analyze/charts"
)

// Plots are drawn in placeholder colours. The style of the page replaces them, for light and dark
// mode.
var (
	paper = charts.ColorRGB(1, 0, 0)
	ink   = charts.ColorRGB(2, 0, 0)
	grid  = charts.ColorRGB(3, 0, 0)
	sides = []charts.Color{charts.ColorRGB(4, 0, 0), charts.ColorRGB(5, 0, 0)}
	apps  = []charts.Color{
		charts.ColorRGB(6, 0, 0), charts.ColorRGB(7, 0, 0), charts.ColorRGB(8, 0, 0), charts.ColorRGB(9, 0, 0),
	}
	styled = strings.NewReplacer(
		"rgb(1,0,0)", "none", "rgb(2,0,0)", "var(--soft)", "rgb(3,0,0)", "var(--rule)",
		"rgb(4,0,0)", "var(--s1)", "rgb(5,0,0)", "var(--s2)", "rgb(6,0,0)", "var(--s3)",
		"rgb(7,0,0)", "var(--s4)", "rgb(8,0,0)", "var(--s5)", "rgb(9,0,0)", "var(--s6)",
		"font-family:'Roboto Medium',sans-serif", "font-family:inherit",
	)
)

// The size of a plot, in the units of its view box.
const (
	plotWidth  = 520
	plotHeight = 260
	plotPoints = 161
	plotMarks  = 7
)

var plotPadding = charts.NewBox(2, 6, 6, 2)

// plot is a figure on a page.
type plot struct {
	Caption string
	SVG     template.HTML
}

func draw(caption string, render func(*charts.Painter) error) (plot, error) {
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: plotWidth, Height: plotHeight})
	if err := render(p); err != nil {
		return plot{}, fmt.Errorf("plotting %s: %w", caption, err)
	}
	svg, err := p.Bytes()
	if err != nil {
		return plot{}, fmt.Errorf("plotting %s: %w", caption, err)
	}
	return plot{caption, template.HTML(styled.Replace(string(svg)))}, nil //nolint:gosec // only numbers, and names from this package
}

func palette(series []charts.Color) charts.ColorPalette {
	return charts.MakeTheme(charts.ThemeOption{
		AxisStrokeColor: grid, AxisSplitLineColor: grid, BackgroundColor: paper, TextColor: ink, SeriesColors: series,
	})
}

func legends(names []string) charts.LegendOption {
	return charts.LegendOption{
		SeriesNames: names, Symbol: charts.SymbolSquare, FontStyle: charts.NewFontStyleWithSize(10),
		Offset: charts.OffsetStr{Left: charts.PositionRight},
	}
}

// latencyPlot shows the latency distributions of a cell.
func latencyPlot(r *Result) (plot, error) {
	curves := [][]float64{r.Roombus.curve(plotPoints), r.Floor.curve(plotPoints)}
	low, high, step := doublings(plotMarks, curves...)
	places := make([]string, plotPoints)
	for n := range places {
		places[n] = markAt(float64(n) / (plotPoints - 1))
	}
	o := charts.NewLineChartOptionWithData(curves)
	o.Theme = palette(sides)
	o.Padding = plotPadding
	o.Legend = legends([]string{"roombus", "floor"})
	o.Symbol, o.LineStrokeWidth = charts.Symbol{Shape: charts.SymbolNone}, 2
	o.XAxis.Labels, o.XAxis.LabelCount, o.XAxis.BoundaryGap = places, len(quantileMarks), charts.Ptr(false)
	o.YAxis[0].Min, o.YAxis[0].Max, o.YAxis[0].LabelCount = &low, &high, int((high-low)/step)+1
	o.YAxis[0].ValueFormatter = func(v float64) string {
		return strconv.FormatFloat(math.Exp2(v), 'g', 3, 64) + " ms"
	}
	return draw("latency, "+strconv.Itoa(r.Concurrency)+" at once", func(p *charts.Painter) error { return p.LineChart(o) })
}

// bars plots groups of values, one group for each concurrency.
func bars(caption string, colours []charts.Color, groups []int, names []string, values [][]float64, format func(float64) string) (plot, error) {
	o := charts.NewBarChartOptionWithData(values)
	o.Theme = palette(slices.Repeat(colours, 1+len(values)/len(colours)))
	o.Padding = plotPadding
	o.Legend = legends(names)
	var labels []string
	for _, at := range groups {
		labels = append(labels, strconv.Itoa(at))
	}
	o.CategoryAxis.Labels, o.CategoryAxis.BoundaryGap = labels, charts.Ptr(true)
	o.BarSize = min(0.75, 0.2*float64(len(groups))) // keeps few bars narrow
	if len(groups) == 1 {
		o.CategoryAxis.LabelOffset.Left = plotWidth / 2 // a lone label is placed at the left
	}
	o.ValueAxis[0].Min = charts.Ptr(0.0)
	o.ValueAxis[0].ValueFormatter = format
	return draw(caption, func(p *charts.Painter) error { return p.BarChart(o) })
}

// scene holds the results of one command on one number of rooms.
type scene struct {
	Command Command
	Rooms   int
	Ratio   plot
	Apps    []appsScene
}

// appsScene holds the results of a scene with one number of apps and policies.
type appsScene struct {
	Asked      string // the apps and policies
	Throughput plot
	Latency    []plot
}

// scenes groups the results, in the order in which they were measured.
func scenes(results []*Result) (all []scene, err error) {
	type key struct {
		command Command
		rooms   int
	}
	var order []key
	of := map[key][]*Result{}
	for _, r := range results {
		k := key{r.Command, r.Rooms}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], r)
	}
	for _, k := range order {
		s := scene{Command: k.command, Rooms: k.rooms}
		if s.Ratio, err = ratioPlot(of[k]); err != nil {
			return nil, err
		}
		for _, asked := range distinct(of[k], Cell.asked) {
			a, err := sceneOf(asked, of[k])
			if err != nil {
				return nil, err
			}
			s.Apps = append(s.Apps, a)
		}
		all = append(all, s)
	}
	return all, nil
}

func sceneOf(asked string, results []*Result) (a appsScene, err error) {
	a.Asked = asked
	var groups []int
	values := make([][]float64, 2)
	for _, r := range results {
		if r.asked() != asked {
			continue
		}
		groups = append(groups, r.Concurrency)
		values[0], values[1] = append(values[0], r.Roombus.PerSecond), append(values[1], r.Floor.PerSecond)
		if r.Roombus.Commands == 0 || r.Floor.Commands == 0 {
			continue
		}
		p, err := latencyPlot(r)
		if err != nil {
			return a, err
		}
		a.Latency = append(a.Latency, p)
	}
	a.Throughput, err = bars("commands/s with "+asked+", by commands at once", sides, groups, []string{"roombus", "floor"}, values,
		func(v float64) string { return fixed(v, 0) })
	return a, err
}

// ratioPlot shows the ratios by concurrency, for each number of apps and policies.
func ratioPlot(results []*Result) (plot, error) {
	groups := distinct(results, func(c Cell) int { return c.Concurrency })
	var names []string
	var values [][]float64
	for _, asked := range distinct(results, Cell.asked) {
		names = append(names, asked)
		row := make([]float64, len(groups))
		for _, r := range results {
			if r.asked() == asked {
				row[slices.Index(groups, r.Concurrency)] = r.Ratio.Throughput
			}
		}
		values = append(values, row)
	}
	return bars("roombus/s by floor/s, by commands at once", apps, groups, names, values,
		func(v float64) string { return fixed(v, 2) })
}

func distinct[T comparable](results []*Result, of func(Cell) T) (all []T) {
	for _, r := range results {
		if v := of(r.Cell); !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
