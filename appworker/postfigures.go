package appworker

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// postFigures count what came of post-events since the worker started, for the statistics that the
// worker reports over the micro protocol.
type postFigures struct {
	mu sync.Mutex
	of map[room.Interface]*postFigure
}

// maxLastError bounds what is reported of an error, in characters.
const maxLastError = 256

type postFigure struct {
	counts  room.PostFigures
	took    time.Duration
	running map[*delivery]time.Time // since when
}

func newPostFigures(tells map[room.Interface]tell) *postFigures {
	p := &postFigures{of: make(map[room.Interface]*postFigure)}
	for i := range tells {
		p.of[i] = &postFigure{running: make(map[*delivery]time.Time)}
	}
	return p
}

// begin takes note of a handler that begins. The function returned takes note of how it ends.
func (p *postFigures) begin(i room.Interface, d *delivery) (end func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.of[i]
	if f == nil {
		return func(error) {} // the worker does not implement it
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

// stats has an entry for each post-interface, named as it. Its data are the PostFigures.
func (p *postFigures) stats() []*micro.EndpointStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*micro.EndpointStats
	for i, f := range p.of {
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
