package subjects

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// RegistryRecord is the record of the registry of apps in the metadata of ROOM_EVENTS. There it
// exists as long as there are events to protect. A registry that ends before the recorded revision
// has lost registrations.
type RegistryRecord struct {
	Revision uint64   // of the bucket
	Apps     []string // registered at that revision, as far as their names fit; sorted
	Params   []string // the documents at that revision, likewise
}

// RegistryRecordOf returns the record in the metadata of ROOM_EVENTS.
func RegistryRecordOf(metadata map[string]string) (r RegistryRecord, ok bool) {
	revision, err := strconv.ParseUint(metadata[RegistryRevision], 10, 64)
	if err != nil {
		return RegistryRecord{}, false
	}
	r.Revision = revision
	r.Apps, r.Params = names(metadata[RegistryApps]), names(metadata[RegistryParams])
	return r, true
}

// In returns a copy of the metadata with the record in it.
func (r RegistryRecord) In(metadata map[string]string) map[string]string {
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = make(map[string]string)
	}
	metadata[RegistryRevision] = strconv.FormatUint(r.Revision, 10)
	metadata[RegistryApps] = strings.Join(r.Apps, ",")
	metadata[RegistryParams] = strings.Join(r.Params, ",")
	return metadata
}

func names(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// Equal reports whether the records are the same.
func (r RegistryRecord) Equal(o RegistryRecord) bool {
	return r.Revision == o.Revision && slices.Equal(r.Apps, o.Apps) && slices.Equal(r.Params, o.Params)
}
