package roomsvc

import (
	"context"

	"github.com/roombus/roombus/bus"
)

// checkDependencies checks the streams, their events and the consumers of apps periodically until
// the context ends. Operators may change them, and servers may lose them.
func (s *Service) checkDependencies(ctx context.Context) {
	for {
		s.streams.Check(ctx)
		s.health.CheckEvents(ctx)
		s.registry.MendConsumers(ctx)
		if !bus.Sleep(ctx, s.cfg.StreamCheck) {
			return
		}
	}
}
