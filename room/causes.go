package room

// MaxCauses bounds the number of causes of a command. A longer chain counts as a loop: an app that reacts
// to its own events.
const MaxCauses = 16

// ValidateCauses returns an error of code invalid_request if the command has more causes than
// MaxCauses. The causes are the ids of the commands that led to it, oldest first.
func ValidateCauses(commandID string, causes []string) error {
	if len(causes) <= MaxCauses {
		return nil
	}
	return invalid("command %s has %d causes, at most %d are allowed: the commands from %s to %s caused one another; an app reacts to its own events",
		commandID, len(causes), MaxCauses, causes[0], causes[len(causes)-1])
}
