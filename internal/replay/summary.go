package replay

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Summary is what came of a replay.
type Summary struct {
	Commands     int       `json:"commands"` // joins and leaves sent
	Changed      int       `json:"changed"`
	Unchanged    int       `json:"unchanged"`
	Denied       int       `json:"denied"`
	Failed       int       `json:"failed"`
	BadRows      int       `json:"badRows"`
	RoomsCreated int       `json:"roomsCreated"`
	Seconds      float64   `json:"seconds"`
	PerSecond    float64   `json:"commandsPerSecond"`
	LatencyMs    Quantiles `json:"latencyMs"` // of the commands that did not fail

	start     time.Time
	latencies *hdrhistogram.Histogram
}

// Quantiles of a distribution.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Latencies are kept from a microsecond to ten minutes, to three digits.
const (
	maxLatency = 10 * time.Minute
	digits     = 3
)

func newSummary() *Summary {
	return &Summary{start: time.Now(), latencies: hdrhistogram.New(1, maxLatency.Microseconds(), digits)}
}

func (s *Summary) record(changed, denied bool, took time.Duration) {
	s.Commands++
	switch {
	case denied:
		s.Denied++
	case changed:
		s.Changed++
	default:
		s.Unchanged++
	}
	_ = s.latencies.RecordValue(min(took, maxLatency).Microseconds()) // in range, as it is cut
}

func (s *Summary) finish() {
	s.Seconds = round(time.Since(s.start).Seconds())
	if s.Seconds > 0 {
		s.PerSecond = math.Round(float64(s.Commands) / s.Seconds)
	}
	ms := func(us int64) float64 { return float64(us) / 1000 }
	s.LatencyMs = Quantiles{
		P50:  ms(s.latencies.ValueAtQuantile(50)),
		P90:  ms(s.latencies.ValueAtQuantile(90)),
		P99:  ms(s.latencies.ValueAtQuantile(99)),
		P999: ms(s.latencies.ValueAtQuantile(99.9)),
		Max:  ms(s.latencies.Max()),
	}
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
