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

// changes returns the names of the fields in which the next draft of a creation differs: fields of
// the room, custom fields by key, and members.
func (d Draft) changes(next Draft) []string {
	changed := roomChanges(d.Data.Room, next.Data.Room, compared{"members", len(d.Data.Members) == len(next.Data.Members)})
	for n, name := range changed {
		changed[n] = room.Shorten(name, maxChangedBytes)
	}
	return changed[:min(len(changed), room.MaxChanged)]
}

// compared is a field of two records.
type compared struct {
	name string
	same bool
}

// differing returns the names of the fields that differ, sorted.
func differing(fields []compared) (names []string) {
	for _, f := range fields {
		if !f.same {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}

// RoomChanges returns the names of the fields that differ, except for those of the service: fields of
// the record, and then custom fields by key.
func RoomChanges(was, is room.Room) []string { return roomChanges(was, is) }

// roomChanges is RoomChanges. It also compares additional fields of the record.
func roomChanges(was, is room.Room, additional ...compared) []string {
	changed := differing(append(additional, []compared{
		{"creator", sameJSON(was.Creator, is.Creator)},
		{"description", was.Description == is.Description},
		{"displayName", was.DisplayName == is.DisplayName},
		{"displaySystemMessages", was.DisplaySystemMessages == is.DisplaySystemMessages},
		{"isDefault", was.IsDefault == is.IsDefault},
		{"isReadOnly", was.IsReadOnly == is.IsReadOnly},
		{"parentRoomId", was.ParentRoomID == is.ParentRoomID},
		{"slugifiedName", was.SlugifiedName == is.SlugifiedName},
		{"type", was.Type == is.Type},
	}...))
	return append(changed, changedKeys("customFields.", was.CustomFields, is.CustomFields)...)
}

// UserChanges returns the names of the fields that differ: fields of the record, and then attributes by
// key.
func UserChanges(was, is room.User) []string {
	changed := differing([]compared{
		{"name", was.Name == is.Name},
		{"roles", slices.Equal(was.Roles, is.Roles)},
		{"username", was.Username == is.Username},
	})
	return append(changed, changedKeys("attributes.", was.Attributes, is.Attributes)...)
}

func changedKeys(prefix string, was, is map[string]any) []string {
	var keys []string
	for key := range maps.Keys(is) {
		if before, there := was[key]; !there || !sameJSON(before, is[key]) {
			keys = append(keys, prefix+key)
		}
	}
	for key := range maps.Keys(was) {
		if _, still := is[key]; !still {
			keys = append(keys, prefix+key)
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
