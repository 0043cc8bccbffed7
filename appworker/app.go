package appworker

import (
	"context"
	"errors"
	"fmt"

	"github.com/roombus/roombus/room"
)

// Manifest describes an app. The default of Implements is the list of interfaces that the handlers
// implement.
type Manifest = room.Manifest

// App is a manifest and the handlers that implement it. It runs the handlers and does not use the network.
type App struct {
	Manifest Manifest
	asks     map[room.Interface]ask
	tells    map[room.Interface]tell
}

type (
	ask  func(ctx context.Context, body []byte) (room.Verdict, error)
	tell func(ctx context.Context, body []byte, ref room.EventRef) error
)

// NewApp finds the interfaces that the handlers implement. It returns one error with all problems:
// a handler implements no interface, two handlers implement the same interface, the manifest lists other
// interfaces or is not valid, or a handler has a near miss. A near miss is a method that begins with
// PreRoom or PostRoom and is none of the interfaces, has another signature, or has a pointer receiver although the
// handler was passed as a value. A manifest with rules is refused, since a policy has no workers.
func NewApp(m Manifest, handlers ...any) (*App, error) {
	if m.IsPolicy() {
		return nil, errors.New("the manifest has rules: it is a policy, which has no workers; put it into force with roombus policy apply")
	}
	a := &App{Manifest: m, asks: make(map[room.Interface]ask), tells: make(map[room.Interface]tell)}
	var wrong []error
	by := make(map[room.Interface]any) // the handlers
	for _, h := range handlers {
		if h == nil {
			wrong = append(wrong, errors.New("a handler is nil"))
			continue
		}
		implemented, misses := a.bind(handlersOf(h)), nearMisses(h)
		wrong = append(wrong, misses...)
		if len(implemented) == 0 && len(misses) == 0 {
			wrong = append(wrong, implementsNone(h))
		}
		for _, i := range implemented {
			if first, twice := by[i]; twice {
				wrong = append(wrong, fmt.Errorf("%s is implemented twice, by %T and by %T", i, first, h))
				continue
			}
			by[i] = h
			if m.Implements == nil {
				a.Manifest.Implements = append(a.Manifest.Implements, i)
			}
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...) // comparing the manifest makes no sense before these are fixed
	}
	for _, i := range room.Interfaces() {
		switch h, implemented := by[i]; {
		case implemented && !a.Manifest.Has(i):
			wrong = append(wrong, fmt.Errorf("the manifest does not list %s, which %T implements", i, h))
		case !implemented && a.Manifest.Has(i):
			wrong = append(wrong, fmt.Errorf("the manifest lists %s, which no handler implements", i))
		}
	}
	if err := a.Manifest.Validate(); err != nil {
		wrong = append(wrong, fmt.Errorf("manifest: %w", err))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return a, nil
}

// implementsNone returns the error for a handler that implements no interface.
func implementsNone(handler any) error {
	switch handler.(type) {
	case Handlers:
		return errors.New("the Handlers have no function: set the field of at least one interface")
	case *Handlers:
		return errors.New("a pointer to Handlers implements no interface: pass Handlers as a value")
	}
	return fmt.Errorf("%T implements none of the interfaces: it has no method that begins with PreRoom or PostRoom", handler)
}

// bind registers the functions of the handlers, and returns the interfaces that they implement.
func (a *App) bind(h Handlers) (found []room.Interface) {
	asks := func(i room.Interface, f ask) { found, a.asks[i] = append(found, i), f }
	tells := func(i room.Interface, f tell) { found, a.tells[i] = append(found, i), f }
	if f := h.PreRoomCreatePrevent; f != nil {
		asks(room.PreRoomCreatePrevent, deciding(f))
	}
	if f := h.PreRoomCreateExtend; f != nil {
		asks(room.PreRoomCreateExtend, extending(f))
	}
	if f := h.PreRoomCreateModify; f != nil {
		asks(room.PreRoomCreateModify, modifying(f))
	}
	if f := h.PostRoomCreate; f != nil {
		tells(room.PostRoomCreate, telling(f, func(e *room.Created) *room.EventRef { return &e.Event }))
	}
	if f := h.PreRoomDeletePrevent; f != nil {
		asks(room.PreRoomDeletePrevent, deciding(f))
	}
	if f := h.PostRoomDeleted; f != nil {
		tells(room.PostRoomDeleted, telling(f, func(e *room.Deleted) *room.EventRef { return &e.Event }))
	}
	if f := h.PreRoomUserJoined; f != nil {
		asks(room.PreRoomUserJoined, deciding(f))
	}
	if f := h.PostRoomUserJoined; f != nil {
		tells(room.PostRoomUserJoined, telling(f, func(e *room.UserJoined) *room.EventRef { return &e.Event }))
	}
	if f := h.PreRoomUserLeave; f != nil {
		asks(room.PreRoomUserLeave, deciding(f))
	}
	if f := h.PostRoomUserLeave; f != nil {
		tells(room.PostRoomUserLeave, telling(f, func(e *room.UserLeft) *room.EventRef { return &e.Event }))
	}
	if f := h.PreRoomUpdatePrevent; f != nil {
		asks(room.PreRoomUpdatePrevent, deciding(f))
	}
	if f := h.PostRoomUpdated; f != nil {
		tells(room.PostRoomUpdated, telling(f, func(e *room.Updated) *room.EventRef { return &e.Event }))
	}
	if f := h.PreRoomUserUpdatePrevent; f != nil {
		asks(room.PreRoomUserUpdatePrevent, deciding(f))
	}
	if f := h.PostRoomUserUpdated; f != nil {
		tells(room.PostRoomUserUpdated, telling(f, func(e *room.UserUpdated) *room.EventRef { return &e.Event }))
	}
	return found
}

// Ask runs the handler of a pre-event on the event's body. An error means that there is no verdict; it is
// a *PanicError if the handler panicked. Ask shortens the reason and the warnings to their bounds.
func (a *App) Ask(ctx context.Context, rooms RoomService, i room.Interface, body []byte) (v room.Verdict, err error) {
	f, ok := a.asks[i]
	if !ok {
		return v, fmt.Errorf("the app does not implement %s", i)
	}
	defer recovered(&err)
	c := &call{rooms: rooms}
	v, err = f(context.WithValue(ctx, callKey{}, c), body)
	v.Warnings = c.warnings
	var denial *room.DenialError
	switch {
	case errors.As(err, &denial):
		v, err = room.Verdict{Verdict: room.Deny, Reason: denial.Reason, Warnings: c.warnings}, nil
	case errors.Is(err, ErrSkip):
		v, err = room.Verdict{Verdict: room.Skip, Warnings: c.warnings}, nil
	case err == nil:
		v.Verdict = room.Allow
	}
	return v.WithinBounds(), err
}

// Tell runs the handler of a post-event on the event's body. It returns the handler's error, or a
// *PanicError if the handler panicked.
func (a *App) Tell(ctx context.Context, rooms RoomService, i room.Interface, body []byte, ref room.EventRef) error {
	return a.tell(ctx, rooms, i, body, ref, 1)
}

func (a *App) tell(ctx context.Context, rooms RoomService, i room.Interface, body []byte, ref room.EventRef, attempt uint64) (err error) {
	f, ok := a.tells[i]
	if !ok {
		return fmt.Errorf("the app does not implement %s", i)
	}
	defer recovered(&err)
	return f(context.WithValue(ctx, callKey{}, &call{rooms: rooms, attempt: attempt}), body, ref)
}

// deciding adapts a handler whose error is its verdict.
func deciding[E any](h func(context.Context, E) error) ask {
	return func(ctx context.Context, body []byte) (room.Verdict, error) {
		var e E
		if err := room.DecodeLenient(body, &e); err != nil {
			return room.Verdict{}, err
		}
		return room.Verdict{}, h(ctx, e)
	}
}

func extending(h func(context.Context, room.Create) (room.Extension, error)) ask {
	return func(ctx context.Context, body []byte) (room.Verdict, error) {
		var e room.Create
		if err := room.DecodeLenient(body, &e); err != nil {
			return room.Verdict{}, err
		}
		x, err := h(ctx, e)
		if len(x.CustomFields) == 0 && len(x.Members) == 0 {
			return room.Verdict{}, err
		}
		return room.Verdict{Extend: &x}, err
	}
}

// modifying adapts a handler that returns the modified room, which is stored as returned.
func modifying(h func(context.Context, room.Create) (room.Room, error)) ask {
	return func(ctx context.Context, body []byte) (room.Verdict, error) {
		var e room.Create
		if err := room.DecodeLenient(body, &e); err != nil {
			return room.Verdict{}, err
		}
		before, err := room.Encode(e.Room) // before the call, because the handler may change the room's maps
		if err != nil {
			return room.Verdict{}, fmt.Errorf("encoding the room: %w", err)
		}
		modified, err := h(ctx, e)
		if err != nil {
			return room.Verdict{}, err
		}
		after, err := room.Encode(modified)
		if err != nil {
			return room.Verdict{}, fmt.Errorf("encoding the modified room: %w", err)
		}
		return modification(before, after)
	}
}

// modification returns the verdict that changes the room from before to after. A merge patch keeps
// fields of the room that this version of the SDK does not know. It cannot set a null; then the verdict
// replaces the room.
func modification(before, after []byte) (room.Verdict, error) {
	patch, exact, err := room.CreateMergePatch(before, after)
	switch {
	case err != nil:
		return room.Verdict{}, fmt.Errorf("comparing the rooms: %w", err)
	case !exact:
		return room.Verdict{Replace: after}, nil
	case string(patch) == "{}":
		return room.Verdict{}, nil
	}
	return room.Verdict{Modify: patch}, nil
}

// telling adapts a handler of post-events. ref returns the event's field for its reference.
func telling[E any](h func(context.Context, E) error, ref func(*E) *room.EventRef) tell {
	return func(ctx context.Context, body []byte, of room.EventRef) error {
		var e E
		if err := room.DecodeLenient(body, &e); err != nil {
			return Discard(err)
		}
		*ref(&e) = of
		return h(ctx, e)
	}
}
