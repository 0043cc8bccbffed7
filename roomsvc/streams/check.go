package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/roombus/roombus/bus"
)

// Check compares the streams that a guarantee rests on with their required configuration, since
// operators may change them and servers may lose them. It logs the differences when they change. If
// a stream cannot be looked at, the last findings stay. Calls must come one after the other.
func (s *Streams) Check(ctx context.Context) {
	var found []string
	for _, n := range requirements(s.cfg.Copies) {
		if n.lost != "" {
			continue
		}
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		err := bus.CheckStream(look, s.cfg.JetStream, n.config, n.demand)
		cancel()
		var differs *bus.StreamDiffersError
		var missing *bus.StreamMissingError
		switch {
		case errors.As(err, &differs), errors.As(err, &missing):
			found = append(found, err.Error())
		case err != nil:
			return
		}
	}
	s.misconfigured.Store(uint64(len(found)))
	s.findings.Log(s.log, "streams are not as they must be", found,
		"remedy", fmt.Sprintf("roombus streams --apply --stream-replicas %d", s.cfg.Copies))
}

// Misconfigured returns the number of streams that were missing or differed at the last Check.
func (s *Streams) Misconfigured() uint64 { return s.misconfigured.Load() }
