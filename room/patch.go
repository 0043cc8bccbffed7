package room

import (
	"maps"
	"slices"
)

// Patch is an RFC 7396 merge patch: the fields to set, and null for the fields to remove. An object
// in it is a patch of the object in the record. Any other value replaces the value in the record.
type Patch map[string]any

// MaxUpdatedFields bounds the fields that one update changes. Each custom field and each attribute is a
// field.
const MaxUpdatedFields = 1000

// fixedFields are the fields of a room that no update changes.
var fixedFields = []string{"id", "creator", "createdAt", "memberCount", "version"}

// validate returns an error of code invalid_request that names the first invalid field of the patch.
// into is a pointer to a zero record.
func (p Patch) validate(name string, into any, fixed ...string) error {
	if p == nil {
		return invalid("%s is required: an object with the fields to change", name)
	}
	for _, field := range fixed {
		if _, there := p[field]; there {
			return invalid("%s.%s cannot be changed", name, field)
		}
	}
	return p.apply(struct{}{}, into, name)
}

// apply decodes the patched record into the value.
func (p Patch) apply(record, into any, name string) error {
	before, err := Encode(record)
	if err != nil {
		return err
	}
	change, err := Encode(p)
	if err != nil {
		return err
	}
	after, err := MergePatch(before, change)
	if err != nil {
		return err
	}
	if err := Decode(after, into); err != nil {
		return invalid("%s: %s", name, message(err))
	}
	return nil
}

// userID returns the id in a patch of a user, empty if there is none.
func (p Patch) userID() string {
	id, _ := p["id"].(string)
	return id
}

// fields returns the names of the fields, sorted.
func (p Patch) fields() []string {
	return slices.Sorted(maps.Keys(p))
}

// changeable are the types of rooms that an update can change into each other. The other types say
// how a room came about.
var changeable = []Type{Channel, PrivateGroup}

// Patched returns the room after an update, with the next version. The error is of code
// invalid_request or too_large and names the first invalid field.
func (r Room) Patched(p Patch) (Room, error) {
	var fields NewRoom
	if err := p.apply(r.fields(), &fields, "patch"); err != nil {
		return r, err
	}
	if from, to := r.Type, fields.Type; from != to && slices.Contains(Types(), to) &&
		(!slices.Contains(changeable, from) || !slices.Contains(changeable, to)) {
		return r, invalid("patch.type: a %s cannot become a %s; only a channel and a private_group can become each other", from, to)
	}
	after := fields.room()
	after.ID, after.Creator, after.CreatedAt = r.ID, r.Creator, r.CreatedAt
	after.MemberCount, after.Version = r.MemberCount, r.Version+1
	return after, after.Validate()
}

// fields returns the fields of the room that an update may change.
func (r Room) fields() NewRoom {
	return NewRoom{
		DisplayName: r.DisplayName, SlugifiedName: r.SlugifiedName, Type: r.Type, Description: r.Description,
		IsReadOnly: r.IsReadOnly, IsDefault: r.IsDefault, DisplaySystemMessages: &r.DisplaySystemMessages,
		CustomFields: r.CustomFields, ParentRoomID: r.ParentRoomID,
	}
}

// Patched returns the user after an update. The error is of code invalid_request or too_large and
// names the first invalid field.
func (u User) Patched(p Patch) (User, error) {
	var after User
	if err := p.apply(u, &after, "user"); err != nil {
		return u, err
	}
	if after.ID != u.ID {
		return u, invalid("user.id cannot be changed")
	}
	return after, after.ValidateSize("user")
}
