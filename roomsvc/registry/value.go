package registry

import "github.com/roombus/roombus/room"

// value is what the bucket has of an app.
type value struct {
	data     string // empty if the app is not registered
	revision uint64
}

// registration decodes the value. It returns nil if the value is empty or unusable.
func (v value) registration() *room.Registration {
	reg, err := decodeRegistration([]byte(v.data))
	if v.data == "" || err != nil {
		return nil
	}
	return &reg
}

// isOlderThan reports whether the value is older than the known entry of the app. The value of a
// removed app has no revision.
func (v value) isOlderThan(known entry) bool {
	removed := known.gone && v.revision == 0
	return !removed && v.revision < known.revision
}
