package appworker_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
)

type joins struct{}

func (joins) PreRoomUserJoined(context.Context, room.UserJoin) error { return nil }

type alsoJoins struct{}

func (alsoJoins) PreRoomUserJoined(context.Context, room.UserJoin) error { return nil }

type misnamed struct{ joins }

func (misnamed) PreRoomUserLeft(context.Context, room.UserLeave) error { return nil }

type miscased struct{}

func (miscased) PreroomUserJoined(context.Context, room.UserJoin) error { return nil }

type between struct{}

func (between) PreRoomCreate(context.Context, room.Create) error { return nil }

type after struct{}

func (after) PostRoomCreated(context.Context, room.Created) error { return nil }

type wrongEvent struct{ joins }

func (wrongEvent) PreRoomUserLeave(context.Context, room.UserJoin) error { return nil }

type wrongResult struct{}

func (wrongResult) PreRoomCreateModify(context.Context, *room.Create) (*room.Room, error) {
	return nil, nil
}

type byPointer struct{ joins }

func (*byPointer) PostRoomUserJoined(context.Context, room.UserJoined) error { return nil }

type misnamedByPointer struct{}

func (*misnamedByPointer) PreRoomUserJoin(context.Context, room.UserJoin) error { return nil }

type twoOfOne struct {
	joins     //nolint:unused // NewApp inspects its method
	alsoJoins //nolint:unused // NewApp inspects its method
}

type deeper struct{ twoOfOne } //nolint:unused // NewApp inspects its methods

type resolved struct{ twoOfOne } //nolint:unused // NewApp inspects its methods

func (resolved) PreRoomUserJoined(context.Context, room.UserJoin) error { return nil }

type embedsPointer struct{ *byPointer }

type embedsValue struct{ byPointer }

type embedsItself struct {
	*embedsItself //nolint:unused // NewApp inspects its methods
	joins
}

type unrelated struct{ joins }

func (unrelated) PreRoo()    {}
func (unrelated) RoomCount() {}

func TestNewApp_NearMissIsAnError(t *testing.T) {
	t.Parallel()
	const (
		leave  = "PreRoomUserLeave(context.Context, room.UserLeave) error"
		joined = "PreRoomUserJoined(context.Context, room.UserJoin) error"
	)
	for name, row := range map[string]struct {
		handlers []any
		says     []string // empty: it is a valid app
	}{
		"right":                 {[]any{joins{}}, nil},
		"right by pointer":      {[]any{&joins{}}, nil},
		"function":              {[]any{appworker.Handlers{PreRoomUserJoined: joins{}.PreRoomUserJoined}}, nil},
		"functions and methods": {[]any{appworker.Handlers{PreRoomUserLeave: func(context.Context, room.UserLeave) error { return nil }}, joins{}, appworker.Handlers{PostRoomUserJoined: (&byPointer{}).PostRoomUserJoined}}, nil},
		"other names":           {[]any{unrelated{}}, nil},
		"pointer passed":        {[]any{&byPointer{}}, nil},
		"pointer embedded":      {[]any{embedsPointer{}}, nil},
		"ambiguity resolved":    {[]any{resolved{}}, nil},
		"type embeds itself":    {[]any{embedsItself{}}, nil},
		"another name":          {[]any{misnamed{}}, []string{"appworker_test.misnamed has the method PreRoomUserLeft, which is none of the interfaces; the nearest is " + leave}},
		"another case":          {[]any{miscased{}}, []string{"appworker_test.miscased has the method PreroomUserJoined, which is none of the interfaces; the nearest is " + joined}},
		"between two":           {[]any{between{}}, []string{"the nearest is PreRoomCreateExtend(context.Context, room.Create) (room.Extension, error) or PreRoomCreateModify(context.Context, room.Create) (room.Room, error)"}},
		"another tense":         {[]any{after{}}, []string{"the nearest is PostRoomCreate(context.Context, room.Created) error"}},
		"another event":         {[]any{wrongEvent{}}, []string{"appworker_test.wrongEvent has the method PreRoomUserLeave(context.Context, room.UserJoin) error; it must be " + leave}},
		"another result":        {[]any{wrongResult{}}, []string{"PreRoomCreateModify(context.Context, *room.Create) (*room.Room, error); it must be PreRoomCreateModify(context.Context, room.Create) (room.Room, error)"}},
		"value of a pointer":    {[]any{byPointer{}}, []string{"appworker_test.byPointer has the method PostRoomUserJoined on its pointer only: pass &appworker_test.byPointer{...}"}},
		"embedded value":        {[]any{embedsValue{}}, []string{"pass &appworker_test.embedsValue{...}"}},
		"misnamed by pointer":   {[]any{misnamedByPointer{}}, []string{"appworker_test.misnamedByPointer has the method PreRoomUserJoin,", "the nearest is " + joined}},
		"misnamed and embedded": {[]any{struct{ misnamed }{}}, []string{"has the method PreRoomUserLeft"}},
		"ambiguous":             {[]any{twoOfOne{}}, []string{"appworker_test.twoOfOne embeds more than one value with the method PreRoomUserJoined"}},
		"ambiguous and deeper":  {[]any{deeper{}}, []string{"appworker_test.deeper embeds more than one value with the method PreRoomUserJoined"}},
		"none":                  {[]any{struct{}{}}, []string{"struct {} implements none of the interfaces"}},
		"no function":           {[]any{appworker.Handlers{}}, []string{"the Handlers have no function: set the field of at least one interface"}},
		"pointer to functions":  {[]any{&appworker.Handlers{PreRoomUserJoined: joins{}.PreRoomUserJoined}}, []string{"pass Handlers as a value"}},
		"nil":                   {[]any{nil}, []string{"a handler is nil"}},
		"twice":                 {[]any{joins{}, alsoJoins{}}, []string{"PreRoomUserJoined is implemented twice, by appworker_test.joins and by appworker_test.alsoJoins"}},
		"method and function":   {[]any{joins{}, appworker.Handlers{PreRoomUserJoined: joins{}.PreRoomUserJoined}}, []string{"PreRoomUserJoined is implemented twice, by appworker_test.joins and by appworker.Handlers"}},
		"all at once": {[]any{misnamed{}, byPointer{}, wrongResult{}, struct{}{}}, []string{
			"PreRoomUserLeft", "appworker_test.byPointer has", "appworker_test.wrongResult has", "implements none", "implemented twice",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := appworker.NewApp(appworker.Manifest{ID: "a", Version: "1.0.0"}, row.handlers...)
			if row.says == nil {
				require.NoError(t, err)
				return
			}
			for _, says := range row.says {
				assert.ErrorContains(t, err, says)
			}
		})
	}
}

func TestNewApp_SaysHowManifestAndHandlersDisagree(t *testing.T) {
	t.Parallel()
	_, err := appworker.NewApp(appworker.Manifest{
		ID: "a", Version: "one", Implements: []room.Interface{room.PostRoomCreate},
	}, joins{})
	assert.ErrorContains(t, err, "the manifest lists PostRoomCreate, which no handler implements")
	assert.ErrorContains(t, err, "the manifest does not list PreRoomUserJoined, which appworker_test.joins implements")
	assert.ErrorContains(t, err, "version must be SemVer")
}

// A policy has no workers.
func TestNewApp_RefusesRules(t *testing.T) {
	t.Parallel()
	_, err := appworker.NewApp(appworker.Manifest{
		ID: "house", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined},
		Rules: map[room.Interface][]room.Rule{room.PreRoomUserJoined: {{Deny: "true"}}},
	}, joins{})
	require.EqualError(t, err, "the manifest has rules: it is a policy, which has no workers; put it into force with roombus policy apply")
}
