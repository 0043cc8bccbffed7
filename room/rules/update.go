package rules

import (
	"cmp"

	"github.com/roombus/roombus/room"
)

// update drafts a change of the room. It returns nil if the patch changes nothing.
func update(v View, r room.UpdateRequest) (*Draft, error) {
	if r.IfVersion != 0 && r.IfVersion != v.Room.Version {
		e := room.Errorf(room.CodeConflict, "room %q has version %d, not %d: read it again", r.RoomID, v.Room.Version, r.IfVersion)
		e.Version = v.Room.Version
		return nil, e
	}
	after, err := v.Room.Patched(r.Patch)
	if err != nil {
		return nil, err
	}
	changed := RoomChanges(v.Room, after)
	if len(changed) == 0 {
		return nil, nil
	}
	if err := fewEnough(changed); err != nil {
		return nil, err
	}
	before := v.Room
	return &Draft{Event: room.EventUpdate, Data: room.Data{
		Room: before, Before: &before, After: &after, Changed: changed, UpdatedBy: cmp.Or(v.Actor, r.UpdatedBy),
	}}, nil
}

// updateMember drafts a change of a member. It returns nil if the patch changes nothing.
func updateMember(v View, r room.UpdateMemberRequest) (*Draft, error) {
	if v.Subject == nil {
		return nil, room.Errorf(room.CodeMemberNotFound, "user %q is not a member of room %q", r.Subject().ID, r.RoomID)
	}
	after, err := v.Subject.Patched(r.User)
	if err != nil {
		return nil, err
	}
	changed := UserChanges(*v.Subject, after)
	if len(changed) == 0 {
		return nil, nil
	}
	if err := fewEnough(changed); err != nil {
		return nil, err
	}
	return &Draft{Event: room.EventUserUpdate, Data: room.Data{
		Room: v.Room, UserBefore: v.Subject, UserAfter: &after, Changed: changed, UpdatedBy: cmp.Or(v.Actor, r.UpdatedBy),
	}}, nil
}

// fewEnough returns an error if an update changes too many fields at once: apps get their names.
func fewEnough(changed []string) error {
	if len(changed) > room.MaxUpdatedFields {
		return room.Errorf(room.CodeTooLarge, "the update changes %d fields; at most %d are allowed at once", len(changed), room.MaxUpdatedFields)
	}
	return nil
}
