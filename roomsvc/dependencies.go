package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/roombus/roombus/bus"
)

// dependencies is the state of the streams that the service depends on, as of the last look.
// Operators may change them, and servers may lose them.
type dependencies struct {
	misconfigured atomic.Uint64 // streams that differ

	logged map[string][]string // the logged findings by log message; only checkDependencies uses it
}

// checkDependencies checks the streams, their events and the consumers of apps periodically until
// the context ends.
func (s *Service) checkDependencies(ctx context.Context) {
	for {
		s.checkStreams(ctx)
		s.health.CheckEvents(ctx)
		s.registry.MendConsumers(ctx)
		if !bus.Sleep(ctx, s.cfg.StreamCheck) {
			return
		}
	}
}

// finding logs an error when there is a new finding, and information when one is gone.
func (d *dependencies) finding(s *Service, message string, found []string, attrs ...any) {
	was := d.logged[message]
	if d.logged == nil {
		d.logged = make(map[string][]string)
	}
	d.logged[message] = found
	if len(without(found, was)) > 0 {
		s.log.Error(message, append([]any{"found", strings.Join(found, "; ")}, attrs...)...)
	} else if mended := without(was, found); len(mended) > 0 {
		s.log.Info("no longer: "+message, "was", strings.Join(mended, "; "), "still", strings.Join(found, "; "))
	}
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(some, one) })
}

// checkStreams compares the streams that a guarantee rests on with their required configuration. If
// a stream cannot be looked at, the last findings stay.
func (s *Service) checkStreams(ctx context.Context) {
	var found []string
	for _, n := range requirements(s.cfg.Replicas) {
		if n.lost != "" {
			continue
		}
		look, cancel := context.WithTimeout(ctx, s.cfg.AckWait)
		err := bus.CheckStream(look, s.js, n.config, n.demand)
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
	s.depends.misconfigured.Store(uint64(len(found)))
	s.depends.finding(s, "streams are not as they must be", found,
		"remedy", fmt.Sprintf("roombus streams --apply --replicas %d", s.cfg.Replicas))
}
