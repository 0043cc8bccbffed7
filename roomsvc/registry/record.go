package registry

import (
	"slices"

	"github.com/roombus/roombus/subjects"
)

// recordedBytes bounds the names of apps in the record, and those of documents: the server allows
// 128 KiB of metadata.
const recordedBytes = 32 << 10

// record returns the record of the known registrations and documents. ok is false unless they are
// in sync with the bucket.
func (e *entries) record() (r subjects.RegistryRecord, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.Revision = e.revision
	for key, one := range e.byKey {
		switch name, isParam := subjects.ParamOf(key); {
		case one.gone:
		case isParam:
			r.Params = append(r.Params, name)
		default:
			r.Apps = append(r.Apps, key)
		}
	}
	r.Apps, r.Params = recorded(r.Apps), recorded(r.Params)
	return r, e.isSynced()
}

// recorded returns the names that fit into the record, sorted.
func recorded(names []string) []string {
	slices.Sort(names)
	size := 0
	for n, name := range names {
		if size += len(name) + 1; size > recordedBytes {
			return names[:n]
		}
	}
	return names
}
