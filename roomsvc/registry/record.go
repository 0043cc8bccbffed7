package registry

import (
	"slices"

	"github.com/roombus/roombus/subjects"
)

// recordedBytes bounds the names of apps in the record: the server allows 128 KiB of metadata.
const recordedBytes = 32 << 10

// record returns the record of the known registrations. ok is false unless they are in sync with
// the bucket.
func (e *entries) record() (r subjects.RegistryRecord, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.Revision = e.revision
	size := 0
	for _, m := range e.list() {
		if size += len(m.ID) + 1; size <= recordedBytes {
			r.Apps = append(r.Apps, m.ID)
		}
	}
	slices.Sort(r.Apps)
	return r, e.isSynced()
}
