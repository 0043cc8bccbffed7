package registry

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
)

// value is what the bucket has under a key.
type value struct {
	data     []byte // empty if there is none
	revision uint64
	time     time.Time // when it was stored; zero for a registration that this service has stored
}

func valueOf(e jetstream.KeyValueEntry) value {
	return value{data: e.Value(), revision: e.Revision(), time: e.Created()}
}

// registration decodes the value. It returns nil if the value is empty or unusable.
func (v value) registration() *room.Registration {
	reg, err := decodeRegistration(v.data)
	if len(v.data) == 0 || err != nil {
		return nil
	}
	return &reg
}

// isOlderThan reports whether the value is older than the known entry. A value that was removed has
// no revision.
func (v value) isOlderThan(known entry) bool {
	removed := known.gone && v.revision == 0
	return !removed && v.revision < known.revision
}
