package bench

import (
	"math"
	"slices"
	"time"

	"github.com/roombus/roombus/internal/latency"
)

// Result is the result of one cell.
type Result struct {
	Cell
	Roombus Figures `json:"roombus"`
	Floor   Figures `json:"floor"`
	Ratio   Ratio   `json:"ratio"`
	// Conflicts is how often the room service lost a race for a room, per command.
	Conflicts float64 `json:"conflictsPerCommand"`
	// Comparison is with the cell of the fewest policies. It is nil for that cell.
	Comparison  *Comparison `json:"comparison,omitempty"`
	Environment Environment `json:"environment"`

	ratios []float64
}

// Comparison is the room service divided by itself with fewer policies, in neighbouring slices.
type Comparison struct {
	Policies   int    `json:"policies"` // of the other cell
	Throughput Spread `json:"throughput"`
	TotalCPU   Spread `json:"totalCPU"` // of all processes, for each command

	throughput, totalCPU []float64
}

// Spread is the distribution of the ratios of slices.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// spread sorts the ratios.
func spread(ratios []float64) Spread {
	slices.Sort(ratios)
	return Spread{round(median(ratios)), round(ratios[0]), round(ratios[len(ratios)-1])}
}

// Ratio is roombus divided by the floor. Throughput is the median over neighbouring slices.
type Ratio struct {
	Throughput float64 `json:"throughput"`
	Least      float64 `json:"least"`
	Most       float64 `json:"most"`
	P50        float64 `json:"p50"`
}

// Figures are the measurements of one side.
type Figures struct {
	Commands  int               `json:"commands"`
	Failed    int               `json:"failed"`
	Failure   string            `json:"failure,omitempty"` // the first
	PerSecond float64           `json:"perSecond"`
	LatencyMs latency.Quantiles `json:"latencyMs"`
	// Microseconds for each command: of the service's processes, of the workers, and of all
	// processes, including the clients and the embedded NATS server.
	ServiceCPU float64 `json:"serviceCPUMicros"`
	WorkersCPU float64 `json:"workersCPUMicros"`
	TotalCPU   float64 `json:"totalCPUMicros"`
	Allocs     float64 `json:"allocsPerCommand"` // of the service's processes
	Bytes      float64 `json:"bytesPerCommand"`  // allocated by the service's processes
	Resident   uint64  `json:"residentBytes"`    // at the end

	took      time.Duration
	usage     sideUsage
	latencies *latency.Distribution
}

func newResult(cell Cell) *Result {
	return &Result{Cell: cell, Roombus: Figures{latencies: latency.New()}, Floor: Figures{latencies: latency.New()}}
}

// add adds two neighbouring slices.
func (r *Result) add(roombus, floor *slice) {
	r.Roombus.add(roombus)
	r.Floor.add(floor)
	r.ratios = append(r.ratios, ratio(rate(len(roombus.done), roombus.took), rate(len(floor.done), floor.took)))
}

// compare adds a slice of the room service, and the neighbouring one of the cell with the fewest policies.
func (r *Result) compare(roombus, fewest *slice) {
	c := r.Comparison
	c.throughput = append(c.throughput, ratio(rate(len(roombus.done), roombus.took), rate(len(fewest.done), fewest.took)))
	c.totalCPU = append(c.totalCPU, ratio(roombus.totalCPU(), fewest.totalCPU()))
}

// totalCPU is the processor time of all processes for each command, in microseconds.
func (s *slice) totalCPU() float64 {
	used := s.usage.service.CPU + s.usage.workers.CPU + s.usage.here.CPU
	return float64(used.Microseconds()) / float64(max(1, len(s.done)))
}

func (f *Figures) add(s *slice) {
	f.Commands += len(s.done)
	f.Failed += s.failed
	if f.Failure == "" {
		f.Failure = s.failure
	}
	f.took += s.took
	f.usage = f.usage.add(s.usage)
	f.Resident = s.usage.service.Resident
	f.latencies.Merge(s.latencies)
}

func (r *Result) finish(conflicts uint64) {
	r.Roombus.finish()
	r.Floor.finish()
	throughput := spread(r.ratios)
	r.Ratio = Ratio{
		Throughput: throughput.Median, Least: throughput.Least, Most: throughput.Most,
		P50: round(ratio(r.Roombus.LatencyMs.P50, r.Floor.LatencyMs.P50)),
	}
	if c := r.Comparison; c != nil {
		c.Throughput, c.TotalCPU = spread(c.throughput), spread(c.totalCPU)
	}
	r.Conflicts = round(float64(conflicts) / float64(max(1, r.Roombus.Commands)))
}

func (f *Figures) finish() {
	commands := float64(max(1, f.Commands))
	f.PerSecond = math.Round(rate(f.Commands, f.took))
	micros := func(u Usage) float64 { return round(float64(u.CPU.Microseconds()) / commands) }
	f.ServiceCPU, f.WorkersCPU = micros(f.usage.service), micros(f.usage.workers)
	f.TotalCPU = round(f.ServiceCPU + f.WorkersCPU + micros(f.usage.here))
	f.Allocs = round(float64(f.usage.service.Allocs) / commands)
	f.Bytes = round(float64(f.usage.service.Bytes) / commands)
	f.LatencyMs = f.latencies.Quantiles()
}

func rate(n int, took time.Duration) float64 { return float64(n) / max(took.Seconds(), 1e-9) }

// ratio returns 0 if the divisor is 0, because every command has failed.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
