package appworkertest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// preEvents are the types of the events that handlers of pre-interfaces are asked about.
var preEvents = map[room.EventType]reflect.Type{
	room.EventCreate:     reflect.TypeFor[room.Create](),
	room.EventUpdate:     reflect.TypeFor[room.Update](),
	room.EventDelete:     reflect.TypeFor[room.Delete](),
	room.EventUserJoin:   reflect.TypeFor[room.UserJoin](),
	room.EventUserUpdate: reflect.TypeFor[room.UserUpdate](),
	room.EventUserLeave:  reflect.TypeFor[room.UserLeave](),
}

// bounds are the bounds with a NATS server's default maximum of 1 MiB a message.
var bounds = rules.Bounds{MaxBytes: 1<<20 - 64<<10, MaxWhole: 1<<20 - 8<<10}

// draft returns the change that the event describes. The test fails if the event is not valid for i.
func (a *App) draft(i room.Interface, e any) rules.Draft {
	a.t.Helper()
	if err := checkEvent(i, e); err != nil {
		a.t.Fatal(err)
	}
	d := rules.Draft{Event: i.Event(), Bounds: bounds}
	if err := room.DecodeLenient(a.encode(e), &d.Data); err != nil {
		a.t.Fatal(err)
	}
	switch d.Event {
	case room.EventCreate:
		complete(&d.Data)
	case room.EventUpdate:
		d.Data.Room = *d.Data.Before
		d.Data.Changed = namesOr(d.Data.Changed, rules.RoomChanges(*d.Data.Before, *d.Data.After))
	case room.EventUserUpdate:
		d.Data.Changed = namesOr(d.Data.Changed, rules.UserChanges(*d.Data.UserBefore, *d.Data.UserAfter))
	}
	return d
}

func checkEvent(i room.Interface, e any) error {
	switch {
	case !i.Known():
		return fmt.Errorf("there is no interface %q", string(i))
	case !i.Pre():
		return fmt.Errorf("%s is told after the change, and not asked: use Tell", i)
	}
	t := reflect.TypeOf(e)
	if t != nil && t.Kind() == reflect.Pointer && !reflect.ValueOf(e).IsNil() {
		t = t.Elem()
	}
	if want := preEvents[i.Event()]; t != want {
		return fmt.Errorf("%T is not the event of %s, which is a %s", e, i, want)
	}
	return nil
}

// complete fills in the fields that the service requires or sets when it creates a room.
func complete(d *room.Data) {
	r := &d.Room
	r.ID = cmp.Or(r.ID, "room")
	r.SlugifiedName = cmp.Or(r.SlugifiedName, r.ID)
	r.Type = cmp.Or(r.Type, room.Channel)
	r.Creator.ID = cmp.Or(r.Creator.ID, "creator")
	if !slices.ContainsFunc(d.Members, func(u room.User) bool { return u.ID == r.Creator.ID }) {
		d.Members = append([]room.User{r.Creator}, d.Members...)
	}
	r.MemberCount = len(d.Members)
}

// namesOr returns the names that the test gives, or those that the service would give.
func namesOr(given, changed []string) []string {
	if given != nil {
		return given
	}
	return changed
}

// completed fills in the fields of a post-event that the service sets.
func completed(e any) any {
	switch e := e.(type) {
	case room.Updated:
		e.Changed = namesOr(e.Changed, rules.RoomChanges(e.Before, e.After))
		return e
	case room.UserUpdated:
		e.Changed = namesOr(e.Changed, rules.UserChanges(e.UserBefore, e.UserAfter))
		return e
	}
	return e
}

func postEvent(e any) (room.Interface, room.EventRef, error) {
	switch e := e.(type) {
	case room.Created:
		return room.PostRoomCreate, e.Event, nil
	case room.Deleted:
		return room.PostRoomDeleted, e.Event, nil
	case room.UserJoined:
		return room.PostRoomUserJoined, e.Event, nil
	case room.UserLeft:
		return room.PostRoomUserLeave, e.Event, nil
	case room.Updated:
		return room.PostRoomUpdated, e.Event, nil
	case room.UserUpdated:
		return room.PostRoomUserUpdated, e.Event, nil
	}
	return "", room.EventRef{}, fmt.Errorf("%T is no post-event", e)
}
