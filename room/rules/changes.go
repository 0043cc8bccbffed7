package rules

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/roombus/roombus/room"
)

// maxChangedBytes bounds the name of a changed field. A longer name is cut.
const maxChangedBytes = 64

// Differs reports whether apps have changed the room or its members since an earlier draft of the same
// change.
func (d Draft) Differs(since Draft) bool { return len(since.changes(d)) > 0 }

// changes returns the names of the fields in which the next draft differs: fields of the room, custom
// fields by key, and members.
func (d Draft) changes(next Draft) []string {
	was, is := d.Data.Room, next.Data.Room
	var changed []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"creator", sameJSON(was.Creator, is.Creator)},
		{"description", was.Description == is.Description},
		{"displayName", was.DisplayName == is.DisplayName},
		{"displaySystemMessages", was.DisplaySystemMessages == is.DisplaySystemMessages},
		{"isDefault", was.IsDefault == is.IsDefault},
		{"isReadOnly", was.IsReadOnly == is.IsReadOnly},
		{"members", len(d.Data.Members) == len(next.Data.Members)},
		{"parentRoomId", was.ParentRoomID == is.ParentRoomID},
		{"slugifiedName", was.SlugifiedName == is.SlugifiedName},
		{"type", was.Type == is.Type},
	} {
		if !f.same {
			changed = append(changed, f.name)
		}
	}
	for _, key := range changedKeys(was.CustomFields, is.CustomFields) {
		changed = append(changed, room.Shorten("customFields."+key, maxChangedBytes))
	}
	return changed[:min(len(changed), room.MaxChanged)]
}

func changedKeys(was, is map[string]any) []string {
	var keys []string
	for key := range maps.Keys(is) {
		if before, there := was[key]; !there || !sameJSON(before, is[key]) {
			keys = append(keys, key)
		}
	}
	for key := range maps.Keys(was) {
		if _, still := is[key]; !still {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func sameJSON(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && string(x) == string(y)
}
