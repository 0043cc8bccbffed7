package roomsvc

import (
	"context"
	"sync/atomic"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/logs"
	"github.com/roombus/roombus/subjects"
)

// dependencies is the state of the events that the service depends on, as of the last look.
type dependencies struct {
	missing  atomic.Uint64 // events of live rooms
	findings logs.Findings // about these events
}

// checkDependencies checks the streams, their events and the consumers of apps periodically until
// the context ends.
func (s *Service) checkDependencies(ctx context.Context) {
	for {
		s.streams.Check(ctx)
		s.checkEvents(ctx)
		s.registry.MendConsumers(ctx)
		if !bus.Sleep(ctx, s.cfg.StreamCheck) {
			return
		}
	}
}

// checkEvents checks whether the stream has all events of the live rooms.
func (s *Service) checkEvents(ctx context.Context) {
	missing, known := s.projection.MissingEvents(ctx)
	if !known {
		return
	}
	s.depends.missing.Store(missing)
	var found []string
	if missing > 0 {
		found = []string{"events of live rooms were purged, deleted, or removed by a limit"}
	}
	s.depends.findings.Log(s.log, "events of rooms missing from the stream", found, "stream", subjects.Events, "missing", missing,
		"remedy", "restore the stream from a backup")
}
