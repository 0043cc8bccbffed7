package latency

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A distribution has a range from a microsecond to ten minutes, and three significant digits.
const (
	longest = 10 * time.Minute
	digits  = 3
)

// Distribution is a distribution of latencies. It is not safe for concurrent use.
type Distribution struct{ histogram *hdrhistogram.Histogram }

// Quantiles of a distribution, in milliseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// New returns an empty distribution.
func New() *Distribution {
	return &Distribution{hdrhistogram.New(1, longest.Microseconds(), digits)}
}

// Add adds one latency.
func (d *Distribution) Add(took time.Duration) {
	_ = d.histogram.RecordValue(min(took, longest).Microseconds()) // longer latencies are cut, so the value is in range
}

// Merge adds all latencies of another distribution.
func (d *Distribution) Merge(o *Distribution) { d.histogram.Merge(o.histogram) }

// Count returns the number of latencies.
func (d *Distribution) Count() int64 { return d.histogram.TotalCount() }

// At returns the latency in milliseconds at a quantile, given in percent.
func (d *Distribution) At(quantile float64) float64 {
	return ms(d.histogram.ValueAtQuantile(quantile))
}

// Quantiles returns the quantiles to report.
func (d *Distribution) Quantiles() Quantiles {
	return Quantiles{P50: d.At(50), P90: d.At(90), P99: d.At(99), P999: d.At(99.9), Max: ms(d.histogram.Max())}
}

func ms(micros int64) float64 { return float64(micros) / 1000 }
