package bus

import (
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/micro"
)

func (s *Service) info() any {
	info := micro.Info{ServiceIdentity: s.identity, Type: micro.InfoResponseType, Description: s.cfg.Description, Endpoints: []micro.EndpointInfo{}}
	for _, e := range s.endpoints {
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{
			Name: e.Name, Subject: e.Subject, QueueGroup: e.Queue, Metadata: map[string]string{},
		})
	}
	return info
}

func (s *Service) stats() any {
	stats := micro.Stats{ServiceIdentity: s.identity, Type: micro.StatsResponseType, Started: s.started, Endpoints: []*micro.EndpointStats{}}
	for _, e := range s.endpoints {
		of := e.snapshot()
		if s.cfg.Data != nil {
			of.Data, _ = json.Marshal(s.cfg.Data(e.Name)) // numbers and strings
		}
		stats.Endpoints = append(stats.Endpoints, &of)
	}
	if s.cfg.Beside != nil {
		stats.Endpoints = append(stats.Endpoints, s.cfg.Beside()...)
	}
	return stats
}

// count records a request and the time from its arrival to its reply.
func (e *endpoint) count(took time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.NumRequests++
	e.stats.ProcessingTime += took
	e.stats.AverageProcessingTime = e.stats.ProcessingTime / time.Duration(e.stats.NumRequests)
	if err != nil {
		e.stats.NumErrors++
		e.stats.LastError = err.Error()
	}
}

func (e *endpoint) snapshot() micro.EndpointStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}
