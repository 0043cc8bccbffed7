package room

import (
	"unicode"
	"unicode/utf8"
)

// MaxUserIDBytes bounds a user's id.
const MaxUserIDBytes = 128

// User is somebody who creates, joins or leaves rooms. Only the id has a meaning here; the
// rest is kept as given and handed to the apps. A number in Attributes is a json.Number, as in the
// CustomFields of a Room: read it with Int or Float.
type User struct {
	ID         string         `json:"id"`
	Username   string         `json:"username,omitempty"`
	Name       string         `json:"name,omitempty"`
	Roles      []string       `json:"roles,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// Validate returns an error of code invalid_request unless the user's id is 1 to 128 bytes
// of UTF-8 without control characters. field names the user in the error.
func (u User) Validate(field string) error {
	switch {
	case u.ID == "":
		return invalid("%s.id is required", field)
	case len(u.ID) > MaxUserIDBytes:
		return invalid("%s.id is %d bytes long; at most %d are allowed", field, len(u.ID), MaxUserIDBytes)
	case !utf8.ValidString(u.ID):
		return invalid("%s.id is not valid UTF-8", field)
	}
	for _, c := range u.ID {
		if unicode.IsControl(c) {
			return invalid("%s.id has a control character (%U)", field, c)
		}
	}
	return nil
}

func validateOptional(field string, u *User) error {
	if u == nil {
		return nil
	}
	return u.Validate(field)
}

// smallUser is how many bytes of JSON a user takes at most who is not large.
const smallUser = 4 << 10

// isLarge reports whether a user may take more than smallUser: attributes are not measured.
func (u *User) isLarge() bool {
	if u == nil {
		return false
	}
	size := len(u.ID) + len(u.Username) + len(u.Name)
	for _, role := range u.Roles {
		size += len(role)
	}
	return len(u.Attributes) > 0 || 6*size+8*len(u.Roles) > smallUser/2
}
