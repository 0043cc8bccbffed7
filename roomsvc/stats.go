package roomsvc

import (
	"maps"
	"sync"
	"time"

	"github.com/roombus/roombus/room"
)

// EndpointData is what "nats micro stats" shows of an endpoint beside its requests, errors and
// times: the errors by code, and the same for every endpoint, how the service is.
type EndpointData struct {
	Errors map[room.Code]uint64 `json:"errors"`
	Readiness
	Rooms   int    `json:"rooms"`    // live ones
	Deleted int    `json:"deleted"`  // ones whose history is still there
	LastSeq uint64 `json:"last_seq"` // of the stream, read so far
	// ProjectionHash is the same in all replicas that have the same last_seq, once they have
	// forgotten the same deleted rooms; it is left out while a replica is ahead with a commit of
	// its own.
	ProjectionHash string `json:"projection_hash,omitempty"`
	Quarantined    uint64 `json:"quarantined"` // messages of the stream not applied
	Lost           uint64 `json:"lost"`        // messages of the stream damaged on disk, as far as was seen at the start
	// Misconfigured is how many streams are missing or not as they must be, EventsMissing how many events of live
	// rooms the stream lacks, both as of the last look, once a minute.
	Misconfigured uint64 `json:"misconfigured"`
	EventsMissing uint64 `json:"events_missing"`
	// ConsumersRemade counts the consumers of apps that were missing.
	ConsumersRemade uint64 `json:"consumers_remade"`
	Conflicts       uint64 `json:"conflicts"`        // commits that another replica was faster than, for the same room
	LateVerdicts    uint64 `json:"late_verdicts"`    // came after their pre-event had ended
	Surplus         uint64 `json:"surplus_verdicts"` // second ones to the same pre-event
	RefusedReplies  uint64 `json:"refused_replies"`  // requests dropped for their reply subject
	// RejectionsDropped counts the rejections that are not in the stream.
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
	n := s.projection.counts()
	return EndpointData{
		Errors: s.errors.of(endpoint).snapshot(), Readiness: s.isReady(time.Now()),
		Rooms: n.rooms, Deleted: n.deleted, LastSeq: n.seq, ProjectionHash: n.hash, Quarantined: n.quarantined, Lost: s.lost.Load(),
		Misconfigured: s.depends.misconfigured.Load(), EventsMissing: s.depends.missing.Load(), ConsumersRemade: s.depends.remade.Load(),
		Conflicts:    s.conflicts.Load(),
		LateVerdicts: s.late.Load(), Surplus: s.requester.Surplus(), RefusedReplies: s.micro.RefusedReplies(),
		RejectionsDropped: s.recorder.dropped.Load(),
	}
}
