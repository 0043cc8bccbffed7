package room

import (
	"encoding/json"
	"slices"
	"time"
)

// Type is the kind of a room.
type Type string

// The types of rooms.
const (
	Channel       Type = "channel"
	PrivateGroup  Type = "private_group"
	DirectMessage Type = "direct_message"
	LiveChat      Type = "live_chat"
)

// Types lists every type of room.
func Types() []Type { return []Type{Channel, PrivateGroup, DirectMessage, LiveChat} }

func validateType(field string, t Type) error {
	if !slices.Contains(Types(), t) {
		return invalid("%s must be one of channel, private_group, direct_message, live_chat, not %q", field, string(t))
	}
	return nil
}

// MaxRoomBytes bounds a room's record, as JSON.
const MaxRoomBytes = 64 << 10

// MaxNewMembers bounds the initial members of a room, without its creator.
const MaxNewMembers = 5000

// Room is a room's record. It has the number of members; the members themselves are read page by page.
// After the creation an update changes the record, but not its id, creator and createdAt.
//
// In CustomFields a decoded number is a json.Number, never a float64 or an int. Read fields with Int,
// Float, String, Bool and Strings. A handler or a client may set a field to any Go value that encodes as
// JSON.
type Room struct {
	ID                    string         `json:"id"`
	DisplayName           string         `json:"displayName,omitempty"`
	SlugifiedName         string         `json:"slugifiedName"`
	Type                  Type           `json:"type"`
	Creator               User           `json:"creator"`
	IsDefault             bool           `json:"isDefault"`
	IsReadOnly            bool           `json:"isReadOnly"`
	DisplaySystemMessages bool           `json:"displaySystemMessages"`
	Description           string         `json:"description,omitempty"`
	CustomFields          map[string]any `json:"customFields,omitempty"`
	ParentRoomID          string         `json:"parentRoomId,omitempty"`
	CreatedAt             time.Time      `json:"createdAt"`
	MemberCount           int            `json:"memberCount"`
	Version               uint64         `json:"version"` // 1 for the creation, then +1 for each event
}

// longestTime has the longest encoding of a time. Validate uses it, and no version and number of
// members, so that the size of a record depends on what clients and apps give only. A room that could
// be created can be updated.
var longestTime = time.Date(2000, 1, 1, 0, 0, 0, 999999000, time.UTC)

// Validate returns an error of code invalid_request or too_large that names the first invalid field.
func (r Room) Validate() error {
	if err := ValidateToken("room.id", r.ID); err != nil {
		return err
	}
	if r.SlugifiedName == "" {
		return invalid("room.slugifiedName is required")
	}
	if err := validateType("room.type", r.Type); err != nil {
		return err
	}
	if r.ParentRoomID != "" {
		if err := ValidateToken("room.parentRoomId", r.ParentRoomID); err != nil {
			return err
		}
	}
	if err := r.Creator.Validate("creator"); err != nil {
		return err
	}
	r.CreatedAt, r.MemberCount, r.Version = longestTime, 0, 0
	record, err := json.Marshal(r)
	if err != nil {
		return invalid("room: %v", err)
	}
	if len(record) > MaxRoomBytes {
		return tooLarge("the room's record is %d bytes of JSON; at most %d are allowed", len(record), MaxRoomBytes)
	}
	return nil
}
