package lanes

import (
	"fmt"
	"strings"

	"github.com/roombus/roombus/room"
)

// Step is what a command in progress waits for. A command behind it names the step in its error if
// its time runs out.
type Step struct {
	apps     func() []string // names the apps that are asked
	storeErr error           // why JetStream has not stored the event so far; nil if there was no error
}

var committing = &Step{}

// Asking is the step of a command while the apps with these names are asked.
func Asking(apps func() []string) *Step { return &Step{apps: apps} }

// Committing is the step of a command while its event is published.
func Committing() *Step { return committing }

// StoreFailing is the step of a command whose event JetStream has not stored so far.
func StoreFailing(err error) *Step { return &Step{storeErr: err} }

// maxNamed bounds the apps that an error names.
const maxNamed = 3

func (s *Step) String() string {
	switch {
	case s.storeErr != nil:
		return fmt.Sprintf("JetStream cannot store its event: %v", s.storeErr)
	case s.apps == nil:
		return "JetStream has not yet stored its event"
	}
	names := s.apps()
	return "it waits for apps: " + strings.Join(names[:min(len(names), maxNamed)], ", ")
}

// TooLate is the error of a command that has too little time left after the wait for its turn. Its
// code is deadline_exceeded.
func TooLate(roomID string) error { return tooLate(roomID, nil) }

// tooLate is the error of a command whose time ran out while it waited for its turn. front is the
// step of the command in front, nil if unknown.
func tooLate(roomID string, front *Step) *room.Error {
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
