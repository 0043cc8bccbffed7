package peers

import (
	"maps"
	"sync"
	"time"
)

// handoverFor is how long the commands of a room go to another service before this one tries to
// commit itself.
const handoverFor = time.Second

// avoidFor is how long no command goes to a service that did not take one.
const avoidFor = time.Minute

// handovers are the rooms whose commands this service hands over to another service. Services that
// change one room at the same time lose most of their work to conflicts. When two conflict, the
// service with the lower id goes on, and the other hands its commands over. This is only for speed:
// the guard decides which commit wins.
type handovers struct {
	mu      sync.Mutex
	to      map[string]handover  // by room
	avoided map[string]time.Time // services that get no command until that time
}

type handover struct {
	service string
	until   time.Time
}

// meet records a conflict with a commit of another service.
func (h *handovers) meet(roomID, self, other string) {
	if other == "" || other >= self {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if now.Before(h.avoided[other]) {
		return
	}
	if h.to == nil {
		h.to = make(map[string]handover)
	}
	maps.DeleteFunc(h.to, func(_ string, old handover) bool { return now.After(old.until) })
	h.to[roomID] = handover{service: other, until: now.Add(handoverFor)}
}

// of returns the service that has the room, empty if this service has it.
func (h *handovers) of(roomID string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to, ok := h.to[roomID]; ok && time.Now().Before(to.until) {
		return to.service
	}
	return ""
}

// avoid hands nothing over for a while to a service that has stopped, is unreachable or is
// overloaded.
func (h *handovers) avoid(service string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.to, func(_ string, to handover) bool { return to.service == service })
	now := time.Now()
	maps.DeleteFunc(h.avoided, func(_ string, until time.Time) bool { return now.After(until) })
	if h.avoided == nil {
		h.avoided = make(map[string]time.Time)
	}
	h.avoided[service] = now.Add(avoidFor)
}
