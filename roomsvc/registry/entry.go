package registry

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
)

// entry is one app in the bucket.
type entry struct {
	registration *room.Registration // nil if it is gone
	data         []byte             // the registration as it is stored
	revision     uint64
	gone         bool
}

func decodeRegistration(data []byte) (room.Registration, error) {
	var r room.Registration
	if err := room.DecodeLenient(data, &r); err != nil {
		return r, err
	}
	return r, r.Validate()
}

func newEntry(id string, data []byte, revision uint64) (entry, error) {
	r, err := decodeRegistration(data)
	if err != nil {
		return entry{}, err
	}
	if r.ID != id {
		return entry{}, fmt.Errorf("it is the registration of app %q", r.ID)
	}
	return entry{registration: &r, data: data, revision: revision}, nil
}

func (e entry) isLaterThan(there jetstream.KeyValueEntry) bool {
	stored, err := decodeRegistration(there.Value())
	if err != nil {
		return true
	}
	return there.Revision() < e.revision && !version(stored).GreaterThan(version(*e.registration))
}

func version(r room.Registration) *semver.Version { return semver.MustParse(r.Latest()) } // it has been validated
