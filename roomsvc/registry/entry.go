package registry

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// entry is one key of the bucket: the registration of an app, or a document.
type entry struct {
	value        // as it is stored
	registration *room.Registration
	document     *expression.Document
	gone         bool // then it is neither of the two
}

// newEntry decodes a value of the bucket.
func newEntry(key string, v value) (entry, error) {
	if name, ok := subjects.ParamOf(key); ok {
		return newDocument(name, v)
	}
	r, err := decodeRegistration(v.data)
	if err != nil {
		return entry{}, err
	}
	if r.ID != key {
		return entry{}, fmt.Errorf("it is the registration of app %q", r.ID)
	}
	return entry{value: v, registration: &r}, nil
}

func newDocument(name string, v value) (entry, error) {
	if err := room.ValidateParamName("its key", name); err != nil {
		return entry{}, err
	}
	d, err := expression.NewDocument(v.data)
	return entry{value: v, document: d}, err
}

func decodeRegistration(data []byte) (room.Registration, error) {
	var r room.Registration
	if err := room.DecodeLenient(data, &r); err != nil {
		return r, err
	}
	err := r.Validate()
	if err != nil && r.IsPolicy() && r.ValidateRules() != nil {
		// Another version of the service has accepted the rules. The policy is kept and fails, because
		// without it an action would pass that it may deny.
		without := r.Manifest
		without.Rules, without.Params = nil, nil
		err = without.Validate()
	}
	return r, err
}

// isLaterThan reports whether the known entry replaces what the bucket has. The bucket may be a
// restored one, which has an earlier value. Or it was recreated, another service has written its
// entries back, and a client has changed one since. Versions tell these cases apart for an app, and
// the time for a document.
func (e entry) isLaterThan(there jetstream.KeyValueEntry) bool {
	stored, err := newEntry(there.Key(), valueOf(there))
	switch {
	case err != nil:
		return true
	case e.revision <= stored.revision:
		return false
	case e.document != nil:
		return e.time.After(stored.time)
	}
	return !version(stored).GreaterThan(version(e))
}

// version is the version of an app's latest manifest.
func version(e entry) *semver.Version { return semver.MustParse(e.registration.Latest()) } // it has been validated
