package subjects

import (
	"strings"

	"github.com/roombus/roombus/room"
)

// Causes returns the causes in a header: the ids of the commands that led to the command or event,
// oldest first. It returns an error of code invalid_request if an id is not a token.
func Causes(h Headers) ([]string, error) {
	chain := strings.Join(h[CausedBy], ",") // a header may have several lines
	if chain == "" {
		return nil, nil
	}
	if len(chain) > maxCausesBytes {
		return nil, room.Errorf(room.CodeInvalidRequest, "header %s has %d bytes: at most %d causes are allowed", CausedBy, len(chain), room.MaxCauses)
	}
	causes := strings.Split(chain, ",")
	for _, id := range causes {
		if err := room.ValidateToken(CausedBy, id); err != nil {
			return nil, err
		}
	}
	return causes, nil
}

// maxCausesBytes is more than the size of MaxCauses causes.
const maxCausesBytes = 4 * room.MaxCauses * (room.MaxTokenBytes + 1)

// CausesOfReaction returns the causes of a command that an app sends in reaction to an event or a
// pre-event with these headers: the causes of the event, then the event.
func CausesOfReaction(h Headers) []string {
	causes, _ := Causes(h) // the service has checked them
	return append(causes, first(h, ID))
}

// SetCauses sets the header if there are causes.
func SetCauses(h Headers, causes []string) {
	if len(causes) > 0 {
		h[CausedBy] = []string{strings.Join(causes, ",")}
	}
}
