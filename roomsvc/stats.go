package roomsvc

import (
	"maps"
	"sync"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/health"
)

// Readiness says whether a service can commit.
type Readiness = health.Readiness

// EndpointData is shown by "nats micro stats" for an endpoint, beside its requests, errors and
// times. It has the errors by code, and the state of the service, which is the same for every
// endpoint.
type EndpointData struct {
	Errors map[room.Code]uint64 `json:"errors"`
	Readiness
	Rooms   int    `json:"rooms"`    // live rooms
	Deleted int    `json:"deleted"`  // deleted rooms with history in the stream
	LastSeq uint64 `json:"last_seq"` // last sequence read from the stream
	// ProjectionHash is equal in all replicas with the same last_seq, once they have dropped the
	// same deleted rooms. It is left out while a replica knows a commit of its own that it has not
	// read from the stream.
	ProjectionHash string `json:"projection_hash,omitempty"`
	Quarantined    uint64 `json:"quarantined"` // messages of the stream not applied
	Lost           uint64 `json:"lost"`        // messages of the stream damaged on disk, as found at the start
	// Misconfigured is the number of streams that are missing or differ from the required
	// configuration. EventsMissing is the number of events of live rooms that are missing from the
	// stream. Both are as of the last check, once a minute.
	Misconfigured uint64 `json:"misconfigured"`
	EventsMissing uint64 `json:"events_missing"`
	// ConsumersRemade counts the missing consumers of apps that were recreated.
	ConsumersRemade uint64 `json:"consumers_remade"`
	Conflicts       uint64 `json:"conflicts"`        // commits that lost to another replica
	LateVerdicts    uint64 `json:"late_verdicts"`    // verdicts after the end of their pre-event
	Surplus         uint64 `json:"surplus_verdicts"` // second verdicts for one pre-event
	ForeignVerdicts uint64 `json:"foreign_verdicts"` // verdicts of another app than the one asked
	RefusedReplies  uint64 `json:"refused_replies"`  // requests dropped for their reply subject
	// RejectionsDropped counts the rejections that were not written to the stream.
	RejectionsDropped uint64 `json:"rejections_dropped"`
}

// errorCounts counts errors by endpoint and code.
type errorCounts struct {
	mu        sync.Mutex
	endpoints map[string]*codeCounts
}

type codeCounts struct {
	mu     sync.Mutex
	counts map[room.Code]uint64
}

func (c *errorCounts) of(endpoint string) *codeCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endpoints == nil {
		c.endpoints = make(map[string]*codeCounts)
	}
	if c.endpoints[endpoint] == nil {
		c.endpoints[endpoint] = &codeCounts{counts: make(map[room.Code]uint64)}
	}
	return c.endpoints[endpoint]
}

func (c *codeCounts) count(e *room.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[e.Code]++
}

func (c *codeCounts) snapshot() map[room.Code]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

func (s *Service) endpointData(endpoint string) any {
	n := s.projection.Stats()
	return EndpointData{
		Errors: s.endpoints.errors.of(endpoint).snapshot(), Readiness: s.health.Readiness(time.Now()),
		Rooms: n.Rooms, Deleted: n.Deleted, LastSeq: n.LastSeq, ProjectionHash: n.Hash, Quarantined: n.Quarantined, Lost: n.Lost,
		Misconfigured: s.streams.Misconfigured(), EventsMissing: s.health.EventsMissing(), ConsumersRemade: s.registry.Remade(),
		Conflicts:    s.commands.committer.conflicts.Load(),
		LateVerdicts: s.hooks.Late(), Surplus: s.verdicts.Surplus(), ForeignVerdicts: s.verdicts.Foreign(),
		RefusedReplies:    s.micro.RefusedReplies(),
		RejectionsDropped: s.recorder.Dropped(),
	}
}
