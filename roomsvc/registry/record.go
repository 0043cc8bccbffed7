package registry

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// Record is the record of the registry in the metadata of the stream of events. There it exists as
// long as there are events to protect. A registry that ends before the recorded revision has lost
// registrations.
type Record struct {
	Revision uint64   // of the bucket
	Apps     []string // registered at that revision, as far as their names fit; sorted
}

// recordedBytes bounds the names of apps in the record: the server allows 128 KiB of metadata.
const recordedBytes = 32 << 10

// RecordOf returns the record in the metadata of the stream of events.
func RecordOf(events jetstream.StreamConfig) (r Record, ok bool) {
	revision, err := strconv.ParseUint(events.Metadata[subjects.RegistryRevision], 10, 64)
	if err != nil {
		return Record{}, false
	}
	r.Revision = revision
	if apps := events.Metadata[subjects.RegistryApps]; apps != "" {
		r.Apps = strings.Split(apps, ",")
	}
	return r, true
}

func (r Record) equal(o Record) bool {
	return r.Revision == o.Revision && slices.Equal(r.Apps, o.Apps)
}

// record returns the record of the known registrations. ok is false unless they are in sync with
// the bucket.
func (e *entries) record() (r Record, ok bool) {
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
