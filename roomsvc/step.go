package roomsvc

import (
	"fmt"
	"strings"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/hooks"
)

// step is what a command in progress waits for. A command behind it names the step in its error if
// its time runs out.
type step struct {
	asked    *hooks.Round // the apps that are asked
	storeErr error        // why JetStream has not stored the event so far; nil if there was no error
}

// committing is the step of a command while its event is published.
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
	names := s.asked.Apps()
	return "it waits for apps: " + strings.Join(names[:min(len(names), maxNamed)], ", ")
}

// at records the step of the command, nil for none.
func (t *ticket) at(s *step) {
	if t != nil {
		t.step.Store(s)
	}
}

// isAsking reports whether the command is waiting for apps.
func (t *ticket) isAsking() bool {
	s := t.step.Load()
	return s != nil && s.asked != nil
}

// tooLate is the error of a command whose time ran out while it waited for its turn. front is the
// step of the command in front, nil if unknown.
func tooLate(roomID string, front *step) *room.Error {
	switch {
	case front == nil:
		return room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out behind other commands of room %q; send it again with the same id", roomID)
	case front.storeErr != nil:
		return blocked(roomID, front.storeErr)
	}
	return room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out behind another command of room %q (%v); send it again with the same id", roomID, front)
}

// blocked is the error of a command that is not tried because JetStream could not store the event
// of a command in front.
func blocked(roomID string, storeErr error) *room.Error {
	return room.Errorf(room.CodeUnavailable, "cannot commit now, send the command again with the same id: a command in front of it in room %q failed: %v", roomID, storeErr)
}
