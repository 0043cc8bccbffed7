package roomsvc

import (
	"fmt"
	"strings"

	"github.com/roombus/roombus/room"
)

// step is what a command in progress waits for. The commands behind it wait for the same, and say so
// when their time runs out.
type step struct {
	asked    []*hook // the apps that are asked
	storeErr error   // why JetStream has not stored the event so far; nil if nothing has gone wrong
}

// committing is the step of a command whose event is published.
var committing = &step{}

// maxNamed bounds the apps that an error names.
const maxNamed = 3

func (s *step) String() string {
	switch {
	case s.storeErr != nil:
		return fmt.Sprintf("JetStream cannot store its event: %v", s.storeErr)
	case s.asked == nil:
		return "JetStream has not yet stored its event"
	}
	var names []string
	for _, k := range s.asked {
		if k.manifest.IsEnabled() && !k.manifest.Shadow && len(names) < maxNamed {
			names = append(names, k.manifest.ID)
		}
	}
	return "it waits for apps: " + strings.Join(names, ", ")
}

// at takes note of what the command waits for, nil for nothing.
func (t *ticket) at(s *step) {
	if t != nil {
		t.step.Store(s)
	}
}

// isAsking reports whether apps are being asked about the command.
func (t *ticket) isAsking() bool {
	s := t.step.Load()
	return s != nil && s.asked != nil
}

// tooLate is the error of a command whose time ran out while it waited for its turn. It names what the
// command in front waits for, if that is known.
func tooLate(roomID string, front *step) *room.Error {
	switch {
	case front == nil:
		return room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out behind other commands of room %q; send it again with the same id", roomID)
	case front.storeErr != nil:
		return blocked(roomID, front.storeErr)
	}
	return room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out behind another command of room %q (%v); send it again with the same id", roomID, front)
}

// blocked is the error of a command that is not begun because JetStream could not store the event of one
// in front of it.
func blocked(roomID string, storeErr error) *room.Error {
	return room.Errorf(room.CodeUnavailable, "cannot commit now, send the command again with the same id: a command in front of it in room %q failed: %v", roomID, storeErr)
}
