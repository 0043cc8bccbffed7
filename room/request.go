package room

import (
	"cmp"
	"time"
)

// Request is the body of a command: one of CreateRequest, UpdateRequest, DeleteRequest, JoinRequest,
// UpdateMemberRequest and LeaveRequest.
type Request interface {
	// Event is the type of the command's event.
	Event() EventType
	// Target is the id of the command's room.
	Target() string
	// Subject is the user that joins, leaves or is updated, nil if there is none.
	Subject() *User
	// Actor is the user that creates, updates or deletes the room, invites, updates or removes a user,
	// as given by the client. It is nil if the client gives none.
	Actor() *User
	// Validate returns an error of code invalid_request or too_large that names the first
	// invalid field.
	Validate() error
}

// NewRoom has the client's fields of a new room.
type NewRoom struct {
	ID                    string         `json:"id,omitempty"` // default: the id of the command
	DisplayName           string         `json:"displayName,omitempty"`
	SlugifiedName         string         `json:"slugifiedName"`
	Type                  Type           `json:"type"`
	Description           string         `json:"description,omitempty"`
	IsReadOnly            bool           `json:"isReadOnly,omitempty"`
	IsDefault             bool           `json:"isDefault,omitempty"`
	DisplaySystemMessages *bool          `json:"displaySystemMessages,omitempty"` // default: true
	CustomFields          map[string]any `json:"customFields,omitempty"`
	ParentRoomID          string         `json:"parentRoomId,omitempty"`
}

// CreateRequest requests a new room. The creator becomes a member in addition to Members.
type CreateRequest struct {
	Room    NewRoom `json:"room"`
	Creator User    `json:"creator"`
	Members []User  `json:"members,omitempty"`
}

// DeleteRequest requests the deletion of a room.
type DeleteRequest struct {
	RoomID    string `json:"roomId"`
	DeletedBy *User  `json:"deletedBy,omitempty"`
}

// JoinRequest requests that a user becomes a member of a room.
type JoinRequest struct {
	RoomID  string `json:"roomId"`
	User    User   `json:"user"`
	Inviter *User  `json:"inviter,omitempty"`
}

// LeaveRequest requests the end of a user's membership of a room.
type LeaveRequest struct {
	RoomID    string `json:"roomId"`
	User      User   `json:"user"`
	RemovedBy *User  `json:"removedBy,omitempty"`
}

// UpdateRequest requests a change of a room. Patch is an RFC 7396 merge patch of the fields that a
// NewRoom has, without the id. Null removes a field, or sets it to its default.
type UpdateRequest struct {
	RoomID    string `json:"roomId"`
	Patch     Patch  `json:"patch"`
	UpdatedBy *User  `json:"updatedBy,omitempty"`
	// IfVersion is the version that the room must have; 0: any.
	IfVersion uint64 `json:"ifVersion,omitempty"`
}

// UpdateMemberRequest requests a change of a member of a room. User is an RFC 7396 merge patch of a
// User. Its id names the member and cannot change.
type UpdateMemberRequest struct {
	RoomID    string `json:"roomId"`
	User      Patch  `json:"user"`
	UpdatedBy *User  `json:"updatedBy,omitempty"`
}

// DecodeRequest decodes and checks the body of the command with events of type e. A new room without
// an id gets the id of the command, so that a retry cannot create a second room.
func DecodeRequest(e EventType, commandID string, data []byte) (Request, error) {
	r, err := decodeRequest(e, commandID, data)
	if err != nil {
		return r, err
	}
	return r, usersFit(r, len(data))
}

func decodeRequest(e EventType, commandID string, data []byte) (Request, error) {
	switch e {
	case EventCreate:
		r, err := decodeAs[CreateRequest](data)
		if r.Room.ID == "" {
			r.Room.ID = commandID
		}
		return validated(r, err)
	case EventDelete:
		return validated(decodeAs[DeleteRequest](data))
	case EventUserJoin:
		return validated(decodeAs[JoinRequest](data))
	case EventUserLeave:
		return validated(decodeAs[LeaveRequest](data))
	case EventUpdate:
		return validated(decodeAs[UpdateRequest](data))
	case EventUserUpdate:
		return validated(decodeAs[UpdateMemberRequest](data))
	}
	return nil, invalid("there is no command for %q", e)
}

func decodeAs[R Request](data []byte) (R, error) {
	var r R
	err := Decode(data, &r)
	return r, err
}

func validated[R Request](r R, err error) (Request, error) {
	if err != nil {
		return nil, err
	}
	return r, r.Validate()
}

// usersFit returns an error if a user of the request exceeds MaxUserBytes. bytes is the size of the
// request; each byte takes at most six bytes when it is encoded again.
func usersFit(r Request, bytes int) error {
	if 6*bytes <= MaxUserBytes {
		return nil
	}
	if c, ok := r.(CreateRequest); ok {
		for n := range c.Members {
			if err := c.Members[n].ValidateSize("members"); err != nil {
				return err
			}
		}
	}
	return cmp.Or(r.Subject().ValidateSize("user"), r.Actor().ValidateSize("actor"))
}

// Event implements Request.
func (CreateRequest) Event() EventType { return EventCreate }

// Event implements Request.
func (DeleteRequest) Event() EventType { return EventDelete }

// Event implements Request.
func (JoinRequest) Event() EventType { return EventUserJoin }

// Event implements Request.
func (LeaveRequest) Event() EventType { return EventUserLeave }

// Event implements Request.
func (UpdateRequest) Event() EventType { return EventUpdate }

// Event implements Request.
func (UpdateMemberRequest) Event() EventType { return EventUserUpdate }

// Target implements Request.
func (r CreateRequest) Target() string { return r.Room.ID }

// Target implements Request.
func (r DeleteRequest) Target() string { return r.RoomID }

// Target implements Request.
func (r JoinRequest) Target() string { return r.RoomID }

// Target implements Request.
func (r LeaveRequest) Target() string { return r.RoomID }

// Target implements Request.
func (r UpdateRequest) Target() string { return r.RoomID }

// Target implements Request.
func (r UpdateMemberRequest) Target() string { return r.RoomID }

// Subject implements Request.
func (CreateRequest) Subject() *User { return nil }

// Subject implements Request.
func (DeleteRequest) Subject() *User { return nil }

// Subject implements Request.
func (r JoinRequest) Subject() *User { return &r.User }

// Subject implements Request.
func (r LeaveRequest) Subject() *User { return &r.User }

// Subject implements Request.
func (UpdateRequest) Subject() *User { return nil }

// Subject implements Request.
func (r UpdateMemberRequest) Subject() *User { return &User{ID: r.User.userID()} }

// Actor implements Request.
func (r CreateRequest) Actor() *User { return &r.Creator }

// Actor implements Request.
func (r DeleteRequest) Actor() *User { return r.DeletedBy }

// Actor implements Request.
func (r JoinRequest) Actor() *User { return r.Inviter }

// Actor implements Request.
func (r LeaveRequest) Actor() *User { return r.RemovedBy }

// Actor implements Request.
func (r UpdateRequest) Actor() *User { return r.UpdatedBy }

// Actor implements Request.
func (r UpdateMemberRequest) Actor() *User { return r.UpdatedBy }

// Data returns the room and the members that the request asks for, as of that time: the body of the create
// event before apps change it.
func (r CreateRequest) Data(at time.Time) Data {
	members := DistinctUsers(append([]User{r.Creator}, r.Members...))
	made := r.Room.room()
	made.Creator, made.CreatedAt, made.MemberCount = r.Creator, at, len(members)
	return Data{Room: made, Members: members}
}

// room returns a room with the client's fields, and defaults for absent ones.
func (n NewRoom) room() Room {
	return Room{
		ID:                    n.ID,
		DisplayName:           n.DisplayName,
		SlugifiedName:         n.SlugifiedName,
		Type:                  n.Type,
		IsDefault:             n.IsDefault,
		IsReadOnly:            n.IsReadOnly,
		DisplaySystemMessages: n.DisplaySystemMessages == nil || *n.DisplaySystemMessages,
		Description:           n.Description,
		CustomFields:          n.CustomFields,
		ParentRoomID:          n.ParentRoomID,
	}
}

// Validate implements Request.
func (r CreateRequest) Validate() error {
	for _, m := range r.Members {
		if err := m.Validate("members"); err != nil {
			return err
		}
	}
	d := r.Data(time.Time{})
	if others := len(d.Members) - 1; others > MaxNewMembers {
		return tooLarge("the creation has %d members beside the creator; at most %d are allowed: let the others join", others, MaxNewMembers)
	}
	return d.Room.Validate()
}

// Validate implements Request.
func (r DeleteRequest) Validate() error {
	if err := ValidateToken("roomId", r.RoomID); err != nil {
		return err
	}
	return validateOptional("deletedBy", r.DeletedBy)
}

// Validate implements Request.
func (r JoinRequest) Validate() error {
	if err := ValidateToken("roomId", r.RoomID); err != nil {
		return err
	}
	if err := r.User.Validate("user"); err != nil {
		return err
	}
	return validateOptional("inviter", r.Inviter)
}

// Validate implements Request.
func (r LeaveRequest) Validate() error {
	if err := ValidateToken("roomId", r.RoomID); err != nil {
		return err
	}
	if err := r.User.Validate("user"); err != nil {
		return err
	}
	return validateOptional("removedBy", r.RemovedBy)
}

// Validate implements Request.
func (r UpdateRequest) Validate() error {
	if err := ValidateToken("roomId", r.RoomID); err != nil {
		return err
	}
	if err := r.Patch.validate("patch", &NewRoom{}, fixedFields...); err != nil {
		return err
	}
	return validateOptional("updatedBy", r.UpdatedBy)
}

// Validate implements Request.
func (r UpdateMemberRequest) Validate() error {
	if err := ValidateToken("roomId", r.RoomID); err != nil {
		return err
	}
	if err := r.User.validate("user", &User{}); err != nil {
		return err
	}
	if err := r.Subject().Validate("user"); err != nil {
		return err
	}
	return validateOptional("updatedBy", r.UpdatedBy)
}
