// Package latency keeps how long things took.
package latency

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept from a microsecond to ten minutes, to three digits.
const (
	longest = 10 * time.Minute
	digits  = 3
)

// Distribution is how latencies are distributed. It is for one goroutine at a time.
type Distribution struct{ histogram *hdrhistogram.Histogram }

// Quantiles of a distribution, in milliseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// New returns a distribution of nothing.
func New() *Distribution {
	return &Distribution{hdrhistogram.New(1, longest.Microseconds(), digits)}
}

// Add adds one latency.
func (d *Distribution) Add(took time.Duration) {
	_ = d.histogram.RecordValue(min(took, longest).Microseconds()) // in range, as it is cut
}

// Merge adds all latencies of another distribution.
func (d *Distribution) Merge(o *Distribution) { d.histogram.Merge(o.histogram) }

// Count is how many latencies there are.
func (d *Distribution) Count() int64 { return d.histogram.TotalCount() }

// At is a quantile, named in percent, in milliseconds.
func (d *Distribution) At(quantile float64) float64 {
	return ms(d.histogram.ValueAtQuantile(quantile))
}

// Quantiles are those that are shown.
func (d *Distribution) Quantiles() Quantiles {
	return Quantiles{P50: d.At(50), P90: d.At(90), P99: d.At(99), P999: d.At(99.9), Max: ms(d.histogram.Max())}
}

func ms(micros int64) float64 { return float64(micros) / 1000 }
