package room

import (
	"encoding/json"
	"slices"
	"unicode"
	"unicode/utf8"
)

// MaxUserIDBytes bounds a user's id, MaxUserBytes a user's whole record as JSON.
const (
	MaxUserIDBytes = 128
	MaxUserBytes   = 256 << 10
)

// User is a user that creates, joins or leaves rooms. Roombus uses only the id. It stores the other
// fields unchanged and sends them to the apps. A number in Attributes is a json.Number, as in the
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
func (u User) Validate(field string) error { return validateUserID(field+".id", u.ID) }

func validateUserID(field, id string) error {
	switch {
	case id == "":
		return invalid("%s is required", field)
	case len(id) > MaxUserIDBytes:
		return invalid("%s is %d bytes long; at most %d are allowed", field, len(id), MaxUserIDBytes)
	case !utf8.ValidString(id):
		return invalid("%s is not valid UTF-8", field)
	}
	for _, c := range id {
		if unicode.IsControl(c) {
			return invalid("%s has a control character (%U)", field, c)
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

// ValidateSize returns an error of code too_large if the user's record, as JSON, exceeds MaxUserBytes. Every
// event has room for two such users, so a user that could join can always leave. A nil user is valid.
// field names the user in the error.
func (u *User) ValidateSize(field string) error {
	if u == nil {
		return nil
	}
	record, err := json.Marshal(u)
	if err != nil {
		return invalid("%s: %v", field, err)
	}
	if len(record) > MaxUserBytes {
		return tooLarge("%s %q is %d bytes of JSON; at most %d are allowed", field, u.ID, len(record), MaxUserBytes)
	}
	return nil
}

// DistinctUsers keeps the first user of each id. It changes the slice in place.
func DistinctUsers(users []User) []User {
	seen := make(map[string]bool, len(users))
	return slices.DeleteFunc(users, func(u User) bool {
		was := seen[u.ID]
		seen[u.ID] = true
		return was
	})
}
