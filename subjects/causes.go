package subjects

import (
	"strings"

	"github.com/roombus/roombus/room"
)

// Causes are the ids of the commands that led to a command or an event, oldest first, as its
// header says. It returns an error of code invalid_request if one of them is no token.
func Causes(h Headers) ([]string, error) {
	chain := first(h, CausedBy)
	if chain == "" {
		return nil, nil
	}
	causes := strings.Split(chain, ",")
	for _, id := range causes {
		if err := room.ValidateToken(CausedBy, id); err != nil {
			return nil, err
		}
	}
	return causes, nil
}

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
