package appworkertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// all implements all interfaces.
type all struct{ told chan room.EventRef }

func (all) PreRoomCreatePrevent(_ context.Context, e room.Create) error {
	if e.Room.SlugifiedName == "bad" {
		return room.Prevented("bad name")
	}
	return nil
}

func (all) PreRoomCreateExtend(_ context.Context, e room.Create) (room.Extension, error) {
	return room.Extension{CustomFields: map[string]any{"members": len(e.Members)}}, nil
}

func (all) PreRoomCreateModify(_ context.Context, e room.Create) (room.Room, error) {
	r := e.Room
	r.DisplayName = "D"
	return r, nil
}

func (a all) PostRoomCreate(_ context.Context, e room.Created) error {
	a.told <- e.Event
	return nil
}

func (all) PreRoomDeletePrevent(context.Context, room.Delete) error { return appworker.ErrSkip }

func (a all) PostRoomDeleted(_ context.Context, e room.Deleted) error {
	a.told <- e.Event
	return nil
}

func (all) PreRoomUserJoined(ctx context.Context, e room.UserJoin) error {
	r, err := appworker.Rooms(ctx).Get(ctx, e.Room.ID)
	if err != nil {
		return err
	}
	appworker.Warn(ctx, "welcome to "+r.DisplayName)
	return nil
}

func (a all) PostRoomUserJoined(_ context.Context, e room.UserJoined) error {
	a.told <- e.Event
	return nil
}

func (all) PreRoomUserLeave(context.Context, room.UserLeave) error { panic("oh") }

func (all) PostRoomUserLeave(context.Context, room.UserLeft) error {
	return appworker.RetryLater(time.Minute, errors.New("busy"))
}

// rooms is a room service with one room.
type rooms struct{ *roomclient.Client }

func (rooms) Get(context.Context, string) (room.Room, error) {
	return room.Room{DisplayName: "Harbor"}, nil
}

func TestApp_RunsAllTenInterfaces(t *testing.T) {
	t.Parallel()
	handlers := all{told: make(chan room.EventRef, 10)}
	app := appworkertest.New(t, handlers).WithRooms(rooms{})

	v, err := app.Ask(room.PreRoomCreatePrevent, room.Create{Room: room.Room{SlugifiedName: "bad"}})
	require.NoError(t, err)
	assert.Equal(t, room.Verdict{Verdict: room.Deny, Reason: "bad name"}, v)

	v, err = app.Ask(room.PreRoomCreateExtend, room.Create{Members: []room.User{{ID: "a"}}})
	require.NoError(t, err)
	assert.EqualValues(t, "2", v.Extend.CustomFields["members"], "the creator is one of them")

	v, err = app.Ask(room.PreRoomCreateModify, room.Create{Room: room.Room{DisplayName: "before"}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"displayName":"D"}`, string(v.Modify), "the difference only")
	v, err = app.Ask(room.PreRoomCreateModify, room.Create{Room: room.Room{DisplayName: "D"}})
	require.NoError(t, err)
	assert.Empty(t, v.Modify)

	v, err = app.Ask(room.PreRoomDeletePrevent, room.Delete{})
	require.NoError(t, err)
	assert.Equal(t, room.Skip, v.Verdict)

	v, err = app.Ask(room.PreRoomUserJoined, room.UserJoin{})
	require.NoError(t, err)
	assert.Equal(t, []string{"welcome to Harbor"}, v.Warnings)

	_, err = app.Ask(room.PreRoomUserLeave, room.UserLeave{})
	var p *appworker.PanicError
	require.ErrorAs(t, err, &p)
	assert.Contains(t, string(p.Stack), "PreRoomUserLeave")

	for n, e := range []any{
		room.Created{Event: room.EventRef{Seq: 0}}, room.Deleted{Event: room.EventRef{Seq: 1}}, room.UserJoined{Event: room.EventRef{Seq: 2}},
	} {
		require.NoError(t, app.Tell(e))
		assert.EqualValues(t, n, (<-handlers.told).Seq)
	}
	var retry *appworker.RetryError
	require.ErrorAs(t, app.Tell(room.UserLeft{}), &retry)
	assert.Equal(t, time.Minute, retry.After)
}

func TestApp_InterfaceNotImplemented(t *testing.T) {
	t.Parallel()
	app := appworkertest.New(t, appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, _ room.UserJoin) error {
		if _, ok := ctx.Deadline(); !ok || appworker.Rooms(ctx) == nil {
			return errors.New("not as documented")
		}
		return nil
	}})
	_, err := app.Ask(room.PreRoomUserJoined, room.UserJoin{})
	require.NoError(t, err)
	_, err = app.Ask(room.PreRoomUserLeave, room.UserLeave{})
	require.ErrorContains(t, err, "does not implement PreRoomUserLeave")
	require.ErrorContains(t, app.Tell(room.UserLeft{}), "does not implement PostRoomUserLeave")
}

// For any room that a handler returns, applying the verdict gives that room.
func TestModify_VerdictGivesReturnedRoom(t *testing.T) {
	t.Parallel()
	var fields func(depth int) *rapid.Generator[map[string]any]
	fields = func(depth int) *rapid.Generator[map[string]any] {
		value := rapid.SampledFrom([]any{nil, true, "", "x", 5, 5.0, 0.5, json.Number("5.0"), json.Number("9007199254740993"), []any{nil, map[string]any{"a": nil}}})
		if depth > 0 {
			value = rapid.OneOf(value, rapid.Map(fields(depth-1), func(m map[string]any) any { return m }))
		}
		return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), value, 0, 3)
	}
	draw := rapid.Custom(func(t *rapid.T) room.Room {
		return room.Room{
			ID: "r", SlugifiedName: "r", Type: room.Channel, MemberCount: 1, Description: rapid.SampledFrom([]string{"", "d"}).Draw(t, "description"), CustomFields: fields(3).Draw(t, "customFields"),
			Creator: room.User{ID: "u", Attributes: fields(1).Draw(t, "attributes")},
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		before, after := draw.Draw(rt, "before"), draw.Draw(rt, "after")
		app := appworkertest.New(t, appworker.Handlers{PreRoomCreateModify: func(context.Context, room.Create) (room.Room, error) { return after, nil }})
		v, err := app.Ask(room.PreRoomCreateModify, room.Create{Room: before})
		require.NoError(rt, err)
		want, err := room.Encode(after)
		require.NoError(rt, err)
		got, err := room.Encode(before)
		require.NoError(rt, err)
		if v.Modify != nil {
			got, err = room.MergePatch(got, v.Modify)
			require.NoError(rt, err)
		}
		if v.Replace != nil {
			got = v.Replace
		}
		var stored room.Room
		require.NoError(rt, room.Decode(got, &stored))
		got, err = room.Encode(stored)
		require.NoError(rt, err)
		require.Equal(rt, string(want), string(got))
	})
}

func TestVerdict_IsWithinItsBounds(t *testing.T) {
	t.Parallel()
	app := appworkertest.New(t, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
		return room.UserNotAllowed(strings.Repeat("\xff no", room.MaxReasonBytes))
	}})
	v, err := app.Ask(room.PreRoomUserJoined, room.UserJoin{})
	require.NoError(t, err)
	assert.Equal(t, room.Deny, v.Verdict)
	assert.LessOrEqual(t, len(v.Reason), room.MaxReasonBytes)

	app = appworkertest.New(t, appworker.Handlers{PreRoomCreateExtend: func(context.Context, room.Create) (room.Extension, error) {
		return room.Extension{Members: []room.User{{ID: "\xff"}}}, nil
	}})
	_, err = app.Ask(room.PreRoomCreateExtend, room.Create{})
	require.ErrorContains(t, err, "extend.members.0.id: invalid UTF-8")
}
