package replay

import (
	"math"
	"time"

	"github.com/roombus/roombus/internal/latency"
)

// Summary is the result of a replay.
type Summary struct {
	Commands     int               `json:"commands"` // joins and leaves sent
	Changed      int               `json:"changed"`
	Unchanged    int               `json:"unchanged"`
	Denied       int               `json:"denied"`
	Failed       int               `json:"failed"`
	BadRows      int               `json:"badRows"`
	RoomsCreated int               `json:"roomsCreated"`
	Seconds      float64           `json:"seconds"`
	PerSecond    float64           `json:"commandsPerSecond"`
	LatencyMs    latency.Quantiles `json:"latencyMs"` // of the commands that did not fail

	start     time.Time
	latencies *latency.Distribution
}

func newSummary() *Summary {
	return &Summary{start: time.Now(), latencies: latency.New()}
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
	s.latencies.Add(took)
}

func (s *Summary) finish() {
	s.Seconds = round(time.Since(s.start).Seconds())
	if s.Seconds > 0 {
		s.PerSecond = math.Round(float64(s.Commands) / s.Seconds)
	}
	s.LatencyMs = s.latencies.Quantiles()
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
