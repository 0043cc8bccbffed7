package consumer

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// stats counts the results of post-event handlers since the worker started. The worker reports them
// over the micro protocol.
type stats struct {
	mu    sync.Mutex
	byKey map[room.Interface]*interfaceStats
}

// maxLastError bounds the reported error text, in characters.
const maxLastError = 256

type interfaceStats struct {
	counts  room.PostFigures
	took    time.Duration
	running map[*delivery]time.Time // start times
}

func newStats(interfaces []room.Interface) *stats {
	p := &stats{byKey: make(map[room.Interface]*interfaceStats)}
	for _, i := range interfaces {
		p.byKey[i] = &interfaceStats{running: make(map[*delivery]time.Time)}
	}
	return p
}

// begin records that a handler begins. The returned function records its result.
func (p *stats) begin(i room.Interface, d *delivery) (end func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.byKey[i]
	if f == nil {
		return func(error) {} // the worker does not implement the interface
	}
	began := time.Now()
	f.running[d] = began
	return func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(f.running, d)
		f.took += time.Since(began)
		if err == nil {
			f.counts.Handled++
			return
		}
		f.counts.Failed++
		f.counts.LastError = fmt.Sprintf("%.*s", maxLastError, err)
	}
}

// endpoints returns an entry for each post-interface.
func (p *stats) endpoints() []*micro.EndpointStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*micro.EndpointStats
	for i, f := range p.byKey {
		counts := f.counts
		counts.InHand = len(f.running)
		for _, began := range f.running {
			counts.LongestMs = max(counts.LongestMs, time.Since(began).Milliseconds())
		}
		s := &micro.EndpointStats{
			Name: string(i), Subject: subjects.PostsLike(i.Event()),
			NumRequests: int(counts.Handled + counts.Failed), NumErrors: int(counts.Failed), LastError: counts.LastError,
			ProcessingTime: f.took,
		}
		s.AverageProcessingTime = f.took / time.Duration(max(1, s.NumRequests))
		s.Data, _ = json.Marshal(counts) // numbers and a string
		all = append(all, s)
	}
	return all
}
