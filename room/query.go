package room

// Bounds of a page.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// GetRequest requests one room.
type GetRequest struct {
	RoomID string `json:"roomId"`
}

// ListRequest requests a page of the rooms that match all its filters, in the order of their ids. With
// SlugifiedNamePrefix and without Member they are in the order of their slugified names, and rooms with
// the same name in the order of their ids. So a room whose slugified name is the prefix comes first.
type ListRequest struct {
	// Member is the id of a user: only rooms that the user is a member of.
	Member string `json:"member,omitempty"`
	// SlugifiedNamePrefix: only rooms whose slugified name begins with it. Upper and lower case differ.
	SlugifiedNamePrefix string `json:"slugifiedNamePrefix,omitempty"`
	// Type: only rooms of that type.
	Type   Type   `json:"type,omitempty"`
	Cursor string `json:"cursor,omitempty"` // of the previous page with the same filters; empty for the first
	Limit  int    `json:"limit,omitempty"`  // 1 to MaxPage, default DefaultPage
}

// MembersRequest requests a page of a room's members, in the order of their ids.
type MembersRequest struct {
	RoomID string `json:"roomId"`
	Cursor string `json:"cursor,omitempty"` // of the previous page; empty for the first
	Limit  int    `json:"limit,omitempty"`  // 1 to MaxPage, default DefaultPage
}

// Page is a page of rooms. Cursor is set if there may be more rooms. A page may be shorter than the
// limit to fit into a message. With filters it may also be short or empty and have a Cursor, since a
// page examines a bounded number of rooms.
type Page struct {
	Rooms  []Room `json:"rooms"`
	Cursor string `json:"cursor,omitempty"`
}

// MemberPage is a page of members. It may be shorter than the limit to fit into a message. Cursor is
// set if there are more members.
type MemberPage struct {
	Members []User `json:"members"`
	Cursor  string `json:"cursor,omitempty"`
}

// AppRequest names an app. An empty id means all apps where that is possible.
type AppRequest struct {
	ID string `json:"id,omitempty"`
}

// Validate returns an error of code invalid_request if the request cannot be served.
func (r GetRequest) Validate() error { return ValidateToken("roomId", r.RoomID) }

// Validate returns an error of code invalid_request if the request cannot be served.
func (r ListRequest) Validate() error {
	if r.Member != "" {
		if err := validateUserID("member", r.Member); err != nil {
			return err
		}
	}
	if r.Type != "" {
		if err := validateType("type", r.Type); err != nil {
			return err
		}
	}
	if n := len(r.SlugifiedNamePrefix); n > MaxRoomBytes {
		return invalid("slugifiedNamePrefix is %d bytes long; at most %d are allowed", n, MaxRoomBytes)
	}
	return validateLimit(r.Limit)
}

// Validate returns an error of code invalid_request if the request cannot be served.
func (r MembersRequest) Validate() error {
	if err := ValidateToken("roomId", r.RoomID); err != nil {
		return err
	}
	return validateLimit(r.Limit)
}

// Validate returns an error of code invalid_request if the request cannot be served.
func (r AppRequest) Validate() error {
	if r.ID == "" {
		return nil
	}
	return ValidateToken("id", r.ID)
}

func validateLimit(limit int) error {
	if limit < 0 || limit > MaxPage {
		return invalid("limit must be 1 to %d, not %d", MaxPage, limit)
	}
	return nil
}

// PageSize returns the limit, or the default for 0.
func PageSize(limit int) int {
	if limit == 0 {
		return DefaultPage
	}
	return limit
}
