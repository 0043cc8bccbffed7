package subjects

import (
	"strings"

	"github.com/roombus/roombus/room"
)

// Causes are the ids of the commands that led to a command or an event, oldest first, as its
// header says. It returns an error of code invalid_request if one of them is no token.
func Causes(h Headers) ([]string, error) {
	chain := strings.Join(h[CausedBy], ",") // a header may come in several lines
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

// maxCausesBytes is more than the causes take that are allowed.
const maxCausesBytes = 4 * room.MaxCauses * (room.MaxTokenBytes + 1)

// CausesOfReaction are the causes of a command that an app sends because of an event, or a pre-event,
// with these headers: the causes of the event, then the event.
func CausesOfReaction(h Headers) []string {
	causes, _ := Causes(h) // the service has checked them
	return append(causes, first(h, ID))
}

// SetCauses writes the header; without causes there is none.
func SetCauses(h Headers, causes []string) {
	if len(causes) > 0 {
		h[CausedBy] = []string{strings.Join(causes, ",")}
	}
}
