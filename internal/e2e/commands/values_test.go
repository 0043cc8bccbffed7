package commands_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// requireStored checks the custom fields of a room in the room, in its event, and after a restart
// of the service from a snapshot and from the stream.
func requireStored(t *testing.T, b *harness.Bus, roomID, fields string) {
	t.Helper()
	check := func(where string) {
		r, err := b.Client.Get(t.Context(), roomID)
		require.NoError(t, err)
		got, err := json.Marshal(r.CustomFields)
		require.NoError(t, err)
		require.Equal(t, fields, string(got), where)
	}
	check("as it runs")
	events := b.Events(t)
	require.Contains(t, string(events[len(events)-1].Data), `"customFields":`+fields)
	require.NoError(t, b.Service.Stop(t.Context()))
	b.ServeLogged(t, roomsvc.Config{})
	check("from the snapshot")
	require.NoError(t, b.Service.Stop(t.Context()))
	require.NoError(t, b.JS.DeleteObjectStore(t.Context(), subjects.Snapshots))
	b.ServeLogged(t, roomsvc.Config{})
	check("from the stream")
}

// Fields from an app on the wire are stored unchanged.
func TestVerdictOnTheWire_IsStoredAsWritten(t *testing.T) {
	t.Parallel()
	const was = `"id":"r","slugifiedName":"r","type":"channel","creator":{"id":"own"},"memberCount":1,"version":0`
	for name, c := range map[string]struct {
		on      room.Interface
		verdict func(e room.Create) string
		fields  string // of the room
		changed []string
	}{
		"merge patch with nulls in arrays": {
			room.PreRoomCreateModify,
			func(room.Create) string {
				return `{"verdict":"allow","modify":{"customFields":{"slots":[{"nr":1,"by":null},null],"n":1.50,"own":null}}}`
			},
			`{"kept":null,"n":1.50,"slots":[{"by":null,"nr":1},null]}`,
			[]string{"customFields.n", "customFields.own", "customFields.slots"},
		},
		"replacement": {
			room.PreRoomCreateModify,
			func(e room.Create) string {
				at, _ := json.Marshal(e.Room.CreatedAt)
				return `{"verdict":"allow","replace":{` + was + `,"createdAt":` + string(at) + `,"customFields":{"own":null,"a":{"b":null},"n":9007199254740993.0}}}`
			},
			`{"a":{"b":null},"n":9007199254740993.0,"own":null}`,
			[]string{"customFields.a", "customFields.kept", "customFields.n", "customFields.own"},
		},
		"extension with nulls": {
			room.PreRoomCreateExtend,
			func(room.Create) string {
				return `{"verdict":"allow","extend":{"customFields":{"x":null,"y":[null,{"z":null}]}}}`
			},
			`{"kept":null,"own":{"deep":null},"x":null,"y":[null,{"z":null}]}`,
			[]string{"customFields.x", "customFields.y"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := harness.New(t, roomsvc.Config{})
			b.Register(t, room.Manifest{ID: "app", Implements: []room.Interface{c.on}})
			b.Answer(t, c.on, "app", func(msg *nats.Msg) {
				var e room.Create
				_ = json.Unmarshal(msg.Data, &e)
				_ = msg.Respond([]byte(c.verdict(e)))
			})
			reply := b.Request(t, "room.svc.create", `{"room":{"id":"r","slugifiedName":"r","type":"channel","customFields":{"own":{"deep":null},"kept":null}},"creator":{"id":"own"}}`)
			var r room.Result
			require.NoError(t, room.Decode(reply.Data, &r))
			require.Len(t, r.Apps, 1)
			assert.Equal(t, room.Allowed, r.Apps[0].Outcome, r.Apps[0].Reason)
			assert.Equal(t, c.changed, r.Apps[0].Changed)
			requireStored(t, b, "r", c.fields)
		})
	}
}

// A replacement is checked like a modification.
func TestReplacement_InvalidIsDropped(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{BreakerFailures: 100})
	b.Register(t, room.Manifest{ID: "app", Implements: []room.Interface{room.PreRoomCreateModify}})
	changes := make(chan func(record map[string]any), 1)
	b.Answer(t, room.PreRoomCreateModify, "app", func(msg *nats.Msg) {
		var e struct{ Room map[string]any }
		_ = json.Unmarshal(msg.Data, &e)
		(<-changes)(e.Room)
		data, _ := json.Marshal(map[string]any{"verdict": "allow", "replace": e.Room})
		_ = msg.Respond(data)
	})
	n := 0
	for says, spoil := range map[string]func(record map[string]any){
		"id cannot be changed":          func(r map[string]any) { r["id"] = "other" },
		"createdAt cannot be changed":   func(r map[string]any) { delete(r, "createdAt") },
		"memberCount cannot be changed": func(r map[string]any) { r["memberCount"] = 7 },
		"version cannot be changed":     func(r map[string]any) { r["version"] = 7 },
		"slugifiedName is required":     func(r map[string]any) { delete(r, "slugifiedName") },
		`unknown field "color"`:         func(r map[string]any) { r["color"] = "red" },
		"at most 65536 are allowed":     func(r map[string]any) { r["description"] = strings.Repeat("d", room.MaxRoomBytes) },
	} {
		changes <- spoil
		n++
		r := b.Create(t, "r"+strconv.Itoa(n))
		require.Len(t, r.Apps, 1)
		assert.Equal(t, room.Failed, r.Apps[0].Outcome, says)
		assert.Contains(t, r.Apps[0].Reason, says)
	}
}

// The room that a handler of the SDK returns is the stored room.
func TestModifyOfTheSDK_IsStoredExactly(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Work(t, room.Manifest{ID: "a"}, appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
		r := e.Room
		r.CustomFields["score"] = nil
		r.CustomFields["list"] = []any{map[string]any{"slot": 1, "by": nil}}
		r.CustomFields["deep"] = map[string]any{"a": map[string]any{"b": nil}, "n": json.Number("5.0")}
		r.Creator.Attributes = map[string]any{"seen": nil}
		r.Description = ""
		delete(r.CustomFields, "gone")
		return r, nil
	}})
	b.Work(t, room.Manifest{ID: "b"}, appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
		r := e.Room
		r.DisplayName = "B"
		return r, nil
	}})
	create := harness.NewRoom("r")
	create.Room.CustomFields = map[string]any{"score": 5, "gone": nil, "kept": nil}
	create.Room.Description = "d"
	r, err := b.Client.Create(t.Context(), create)
	require.NoError(t, err)
	assert.Equal(t, []string{"creator", "description", "customFields.deep", "customFields.gone", "customFields.list", "customFields.score"}, r.Apps[0].Changed)
	assert.Equal(t, []string{"displayName"}, r.Apps[1].Changed)
	assert.Equal(t, map[string]any{"seen": nil}, r.Room.Creator.Attributes)
	requireStored(t, b, "r", `{"deep":{"a":{"b":null},"n":5.0},"kept":null,"list":[{"by":null,"slot":1}],"score":null}`)
	owner, err := b.Client.Members(t.Context(), room.MembersRequest{RoomID: "r"})
	require.NoError(t, err)
	assert.Equal(t, "owner", owner.Members[0].ID)
}

// A denial is never lost because of its text, however long or malformed the text is.
func TestDenial_IsNotLostForItsText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("no way ", 2<<20/7)
	for name, c := range map[string]struct{ reason, warning, starts string }{
		"2 MiB":          {long, long, "no way no way "},
		"not UTF-8":      {"no \xff\xed\xa0\x80 way", "\xff", "no \uFFFD way"},
		"2 MiB of bytes": {strings.Repeat("\xff", 2<<20), long, "\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := scene.Patient(t, roomsvc.Config{})
			b.Create(t, "r")
			b.Work(t, room.Manifest{ID: "guard", TimeoutMs: new(room.MaxTimeoutMs)}, appworker.Handlers{PreRoomUserJoined: func(ctx context.Context, e room.UserJoin) error {
				for range room.MaxWarnings + 1 {
					appworker.Warn(ctx, c.warning)
				}
				if e.JoiningUser.ID == "bob" {
					return room.UserNotAllowed(c.reason)
				}
				return nil
			}})
			_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
			e := scene.ErrorOf(t, err)
			assert.Equal(t, room.CodeUserNotAllowed, e.Code, e.Message)
			assert.Equal(t, c.starts, e.Reason[:min(len(c.starts), len(e.Reason))])
			assert.LessOrEqual(t, len(e.Reason), room.MaxReasonBytes)
			assert.Equal(t, room.Denied, e.Apps[0].Outcome)

			r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
			require.NoError(t, err)
			assert.Equal(t, room.Allowed, r.Apps[0].Outcome, r.Apps[0].Reason)
			require.Len(t, r.Warnings, room.MaxWarnings)
			assert.LessOrEqual(t, len(r.Warnings[0]), room.MaxReasonBytes)
		})
	}

	t.Run("on the wire", func(t *testing.T) {
		t.Parallel()
		b := harness.New(t, roomsvc.Config{})
		b.Create(t, "r")
		b.Register(t, room.Manifest{ID: "guard", Implements: []room.Interface{room.PreRoomUserJoined}})
		b.Answer(t, room.PreRoomUserJoined, "guard", harness.Says(`{"verdict":"deny","reason":"not \ud83d here"}`))
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob})
		assert.Equal(t, "not \uFFFD here", scene.ErrorOf(t, err).Reason)
	})
}

// A handler's result that is not valid UTF-8 is a failure. It is not changed into other text.
func TestVerdictOfTheSDK_InvalidTextFails(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Work(t, room.Manifest{ID: "extend"}, appworker.Handlers{PreRoomCreateExtend: func(context.Context, room.Create) (room.Extension, error) {
		return room.Extension{CustomFields: map[string]any{"k\xff": 1}}, nil
	}})
	b.Work(t, room.Manifest{ID: "modify"}, appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
		r := e.Room
		r.DisplayName = "\xff"
		return r, nil
	}})
	r := b.Create(t, "r")
	assert.Empty(t, r.Room.DisplayName)
	assert.Empty(t, r.Room.CustomFields)
	require.Len(t, r.Apps, 2)
	for n, says := range []string{"extend.customFields: invalid UTF-8", "displayName: invalid UTF-8"} {
		assert.Equal(t, room.Failed, r.Apps[n].Outcome)
		assert.Contains(t, r.Apps[n].Reason, says)
	}
}

// A client does not send text that is not valid UTF-8.
func TestRequest_InvalidTextIsNotSent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	nc := harness.Connect(t, b.Server)
	client := roomclient.New(nc, roomclient.Config{})
	_, err := client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "u", Attributes: map[string]any{"k": []any{"\xff"}}}})
	e := scene.ErrorOf(t, err)
	assert.Equal(t, room.CodeInvalidRequest, e.Code)
	assert.Equal(t, "user.attributes.k.0: invalid UTF-8", e.Message)
	assert.Zero(t, nc.Stats().OutMsgs)

	reply := b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u","name":"\ud83d"}}`)
	assert.Contains(t, string(reply.Data), `user.name: \\ud83d is half of a surrogate pair`)
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
}
