package appworkertest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
)

// recorder is a testing.TB for a test that may fail, in a separate goroutine.
type recorder struct {
	testing.TB
	said strings.Builder
}

func (r *recorder) Error(args ...any) { fmt.Fprintln(&r.said, args...) }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

// failure runs a test and returns its failure message.
func failure(t *testing.T, test func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		test(r)
	}()
	<-ended
	return r.said.String()
}

func allow(context.Context, room.UserJoin) error { return nil }

// An event that the room service cannot send is a mistake of the test and ends it.
func TestAsk_MistakesOfTheTestEndIt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		i    room.Interface
		e    any
		says string
	}{
		"another event":        {room.PreRoomUserJoined, room.Create{}, "room.Create is not the event of PreRoomUserJoined, which is a room.UserJoin"},
		"a post-event":         {room.PreRoomUserJoined, room.UserJoined{}, "room.UserJoined is not the event of PreRoomUserJoined"},
		"nil":                  {room.PreRoomUserJoined, nil, "<nil> is not the event of PreRoomUserJoined"},
		"a nil pointer":        {room.PreRoomUserJoined, (*room.UserJoin)(nil), "is not the event of PreRoomUserJoined"},
		"a post-interface":     {room.PostRoomUserJoined, room.UserJoined{}, "PostRoomUserJoined is told after the change, and not asked: use Tell"},
		"no interface":         {"PreRoomUserLeft", room.UserLeave{}, `there is no interface "PreRoomUserLeft"`},
		"pointer to it":        {room.PreRoomUserJoined, &room.UserJoin{}, ""},
		"text that no JSON is": {room.PreRoomUserJoined, room.UserJoin{JoiningUser: room.User{ID: "\xff"}}, "joiningUser.id: invalid UTF-8"},
	} {
		said := failure(t, func(t testing.TB) {
			_, err := appworkertest.New(t, appworker.Handlers{PreRoomUserJoined: allow}).Ask(row.i, row.e)
			assert.NoError(t, err)
		})
		if row.says == "" {
			assert.Empty(t, said, name)
			continue
		}
		assert.Contains(t, said, row.says, name)
	}
	assert.Contains(t, failure(t, func(t testing.TB) { appworkertest.New(t, struct{}{}) }), "implements none of the interfaces")
	assert.Contains(t, failure(t, func(t testing.TB) {
		appworkertest.NewWith(t, appworker.Manifest{ID: "a", Version: "1.0.0", When: map[room.Interface]string{room.PreRoomUserJoined: "rom.id == 'a'"}}, appworker.Handlers{PreRoomUserJoined: allow})
	}), "undeclared reference")
}

// A verdict that the room service would drop is an error.
func TestAsk_DroppedVerdictsAreErrors(t *testing.T) {
	t.Parallel()
	draft := room.Create{Room: room.Room{ID: "r", SlugifiedName: "r", Type: room.Channel, CustomFields: map[string]any{"tier": "gold"}}}
	modifies := func(change func(*room.Room)) any {
		return appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
			change(&e.Room)
			return e.Room, nil
		}}
	}
	extends := func(x room.Extension) any {
		return appworker.Handlers{PreRoomCreateExtend: func(context.Context, room.Create) (room.Extension, error) { return x, nil }}
	}
	for name, row := range map[string]struct {
		i       room.Interface
		handler any
		says    string
	}{
		"id":            {room.PreRoomCreateModify, modifies(func(r *room.Room) { r.ID = "other" }), "the modification is dropped: id cannot be changed"},
		"version":       {room.PreRoomCreateModify, modifies(func(r *room.Room) { r.Version = 7 }), "version cannot be changed"},
		"member count":  {room.PreRoomCreateModify, modifies(func(r *room.Room) { r.MemberCount++ }), "memberCount cannot be changed"},
		"one field set": {room.PreRoomCreateModify, modifies(func(r *room.Room) { *r = room.Room{Description: "d"} }), "the modification is dropped"},
		"no type":       {room.PreRoomCreateModify, modifies(func(r *room.Room) { r.Type = "" }), "room.type must be one of"},
		"a description": {room.PreRoomCreateModify, modifies(func(r *room.Room) { r.Description = "d" }), ""},
		"field set":     {room.PreRoomCreateExtend, extends(room.Extension{CustomFields: map[string]any{"tier": "silver"}}), `conflict: custom field "tier" is set already`},
		"no member":     {room.PreRoomCreateExtend, extends(room.Extension{Members: []room.User{{Name: "Ann"}}}), "extend.members.id is required"},
		"many members":  {room.PreRoomCreateExtend, extends(room.Extension{Members: users(room.MaxNewMembers + 1)}), "it makes 5001 members"},
		"large field":   {room.PreRoomCreateExtend, extends(room.Extension{CustomFields: map[string]any{"a": strings.Repeat("x", room.MaxRoomBytes)}}), "the extension is dropped: too_large"},
		"a new field":   {room.PreRoomCreateExtend, extends(room.Extension{CustomFields: map[string]any{"max": 5}}), ""},
	} {
		_, err := appworkertest.New(t, row.handler).Ask(row.i, draft)
		if row.says == "" {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorContains(t, err, row.says, name)
	}
}

func users(n int) (all []room.User) {
	for k := range n {
		all = append(all, room.User{ID: fmt.Sprint("u", k)})
	}
	return all
}

// A verdict after the app's timeout is an error.
func TestAsk_LateVerdictIsAnError(t *testing.T) {
	t.Parallel()
	late := appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, _ room.UserJoin) error {
		<-ctx.Done()
		return nil
	}}
	_, err := appworkertest.NewWith(t, appworker.Manifest{ID: "a", Version: "1.0.0", TimeoutMs: new(1)}, late).Ask(room.PreRoomUserJoined, room.UserJoin{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no verdict within 1ms")
}

func TestAsk_ConditionsOfTheManifestCount(t *testing.T) {
	t.Parallel()
	app := appworkertest.NewWith(t, appworker.Manifest{
		ID: "a", Version: "1.0.0",
		When: map[room.Interface]string{room.PreRoomUserJoined: `room.type == "private_group" && room.customFields.max > 5`},
	}, appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error { return room.UserNotAllowed("no") }})
	ask := func(r room.Room) (room.Verdict, error) {
		return app.Ask(room.PreRoomUserJoined, room.UserJoin{Room: r})
	}
	v, err := ask(room.Room{Type: room.Channel})
	require.NoError(t, err)
	assert.Equal(t, room.Verdict{Verdict: room.Skip, Reason: "its condition does not hold"}, v)
	v, err = ask(room.Room{Type: room.PrivateGroup, CustomFields: map[string]any{"max": 6}})
	require.NoError(t, err)
	assert.Equal(t, room.Deny, v.Verdict)
	_, err = ask(room.Room{Type: room.PrivateGroup})
	require.ErrorContains(t, err, "its condition cannot be evaluated")
}

// Without a room service, a handler that uses one fails the test with a clear message.
func TestRooms_NoneFailsTheTest(t *testing.T) {
	t.Parallel()
	said := failure(t, func(t testing.TB) {
		_, err := appworkertest.New(t, appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, _ room.UserJoin) error {
			_, err := appworker.Rooms(ctx).Get(ctx, "lobby")
			return err
		}}).Ask(room.PreRoomUserJoined, room.UserJoin{})
		assert.Error(t, err)
	})
	assert.Contains(t, said, "a handler calls appworker.Rooms(ctx).Get, and this test has no room service: give it one with WithRooms")
}

// organizer takes part in every phase of a creation.
type organizer struct{ checked []string }

func (o *organizer) PreRoomCreatePrevent(ctx context.Context, e room.Create) error {
	o.checked = append(o.checked, e.Room.DisplayName)
	for _, m := range e.Members {
		if m.ID == "mallory" {
			return room.Prevented("mallory is banned here")
		}
	}
	appworker.Warn(ctx, "asked")
	return nil
}

func (o *organizer) PreRoomCreateExtend(_ context.Context, e room.Create) (room.Extension, error) {
	if _, ok, err := room.Int(e.Room.CustomFields, "max"); ok || err != nil {
		return room.Extension{}, err
	}
	if e.Room.Description == "broken" {
		return room.Extension{}, errors.New("no database")
	}
	return room.Extension{CustomFields: map[string]any{"max": 50}, Members: []room.User{{ID: e.Room.Description}}}, nil
}

func (o *organizer) PreRoomCreateModify(_ context.Context, e room.Create) (room.Room, error) {
	limit, _, err := room.Int(e.Room.CustomFields, "max")
	e.Room.DisplayName = fmt.Sprint("room of ", limit)
	return e.Room, err
}

func TestCreate_RunsAllPhases(t *testing.T) {
	t.Parallel()
	o := &organizer{}
	app := appworkertest.NewWith(t, appworker.Manifest{ID: "organizer", Version: "1.0.0", ReinvocationPolicy: room.ReinvokeIfNeeded}, o)
	request := room.CreateRequest{
		Room: room.NewRoom{SlugifiedName: "harbor", Type: room.Channel, Description: "helpbot"}, Creator: room.User{ID: "ann"}, Members: []room.User{{ID: "bob"}},
	}
	created, err := app.Create(request)
	require.NoError(t, err)
	assert.Equal(t, "room of 50", created.Room.DisplayName)
	assert.EqualValues(t, 1, created.Room.Version)
	assert.Equal(t, 3, created.Room.MemberCount)
	assert.Equal(t, []room.User{{ID: "ann"}, {ID: "bob"}, {ID: "helpbot"}}, created.Members)
	assert.Equal(t, []string{"asked", "asked"}, created.Warnings)
	assert.Equal(t, []string{"", "room of 50"}, o.checked, "asked again about the changed room")
	var outcomes []string
	for _, a := range created.Apps {
		outcomes = append(outcomes, fmt.Sprintf("%s %s %v %t", a.Interface, a.Outcome, a.Changed, a.Reinvoked))
	}
	assert.Equal(t, []string{
		"PreRoomCreatePrevent allowed [] false", "PreRoomCreateExtend allowed [members customFields.max] false",
		"PreRoomCreateModify allowed [displayName] false", "PreRoomCreatePrevent allowed [] true",
	}, outcomes)

	request.Room.Description = "mallory"
	_, err = app.Create(request)
	require.ErrorIs(t, err, &room.Error{Code: room.CodePrevented}, "by the reinvocation: the extension made mallory a member")
	var refusal *room.Error
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, "mallory is banned here", refusal.Reason)
	assert.Len(t, refusal.Apps, 4)

	_, err = app.Create(room.CreateRequest{Room: request.Room})
	require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
	require.ErrorContains(t, err, "creator.id is required")
}

// A failure is recorded as an outcome, and blocks the creation only if the app is essential.
func TestCreate_FailureOfTheApp(t *testing.T) {
	t.Parallel()
	request := room.CreateRequest{Room: room.NewRoom{SlugifiedName: "s", Type: room.Channel, Description: "broken"}, Creator: room.User{ID: "ann"}}
	m := appworker.Manifest{ID: "organizer", Version: "1.0.0"}
	created, err := appworkertest.NewWith(t, m, &organizer{}).Create(request)
	require.NoError(t, err)
	assert.Equal(t, room.Failed, created.Apps[1].Outcome)
	assert.Equal(t, "no database", created.Apps[1].Reason)

	m.Essentials = []room.Interface{room.PreRoomCreateExtend}
	_, err = appworkertest.NewWith(t, m, &organizer{}).Create(request)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeEssentialAppUnavailable})
}
