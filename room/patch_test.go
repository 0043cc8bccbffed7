package room_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

func patch(t *testing.T, document string) room.Patch {
	t.Helper()
	var r room.UpdateRequest
	require.NoError(t, room.Decode([]byte(`{"roomId":"r","patch":`+document+`}`), &r))
	return r.Patch
}

func TestRoom_Patched(t *testing.T) {
	t.Parallel()
	for document, change := range map[string]func(*room.Room){
		`{}`:                                    func(*room.Room) {},
		`{"displayName":"D"}`:                   func(r *room.Room) { r.DisplayName = "D" },
		`{"displayName":null}`:                  func(r *room.Room) { r.DisplayName = "" },
		`{"type":"channel"}`:                    func(r *room.Room) { r.Type = room.Channel },
		`{"displaySystemMessages":false}`:       func(r *room.Room) { r.DisplaySystemMessages = false },
		`{"displaySystemMessages":null}`:        func(*room.Room) {}, // the default is true
		`{"isReadOnly":null,"isDefault":false}`: func(r *room.Room) { r.IsReadOnly, r.IsDefault = false, false },
		`{"slugifiedName":"s","parentRoomId":"p","description":""}`: func(r *room.Room) {
			r.SlugifiedName, r.ParentRoomID, r.Description = "s", "p", ""
		},
		`{"customFields":null}`: func(r *room.Room) { r.CustomFields = nil },
		`{"customFields":{"limit":9007199254740993,"nested":{"a":null,"c":[null]}}}`: func(r *room.Room) {
			r.CustomFields = map[string]any{"limit": json.Number("9007199254740993"), "nested": map[string]any{"c": []any{nil}}}
		},
	} {
		want := full
		change(&want)
		want.Version++
		after, err := full.Patched(patch(t, document))
		require.NoError(t, err, document)
		assert.Equal(t, want, after, document)
	}
}

// A room that was as large as it may be can be updated after many events.
func TestRoom_PatchedAtItsBound(t *testing.T) {
	t.Parallel()
	r := full
	r.Description, r.MemberCount, r.Version = "", 1, 0
	for step := 1 << 16; step > 0; step /= 2 {
		longer := r
		longer.Description += strings.Repeat("x", step)
		if longer.Validate() == nil {
			r = longer
		}
	}
	r.MemberCount, r.Version = 1_000_000, 1<<40
	_, err := r.Patched(patch(t, `{"isReadOnly":true}`))
	require.NoError(t, err)
	_, err = r.Patched(patch(t, `{"slugifiedName":"longer than it was"}`))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeTooLarge})
}

func TestUpdate_RefusedPatches(t *testing.T) {
	t.Parallel()
	for document, says := range map[string]string{
		`null`:                      "patch is required",
		`{"id":"x"}`:                "patch.id cannot be changed",
		`{"creator":{"id":"x"}}`:    "patch.creator cannot be changed",
		`{"createdAt":null}`:        "patch.createdAt cannot be changed",
		`{"memberCount":1}`:         "patch.memberCount cannot be changed",
		`{"version":1}`:             "patch.version cannot be changed",
		`{"color":"red"}`:           `patch: unknown field "color"`,
		`{"displayName":1}`:         "patch: displayName must be string, not number",
		`{"customFields":"x"}`:      "patch: customFields must be",
		`{"slugifiedName":null}`:    "room.slugifiedName is required",
		`{"type":"forum"}`:          "room.type must be one of",
		`{"type":null}`:             "room.type must be one of",
		`{"type":"direct_message"}`: "a private_group cannot become a direct_message",
		`{"parentRoomId":"a b"}`:    "room.parentRoomId",
		`{"description":"` + strings.Repeat("x", room.MaxRoomBytes) + `"}`: "at most 65536 are allowed",
	} {
		r := room.UpdateRequest{RoomID: "r", Patch: patch(t, document)}
		err := r.Validate()
		if err == nil {
			_, err = full.Patched(r.Patch)
		}
		require.ErrorContains(t, err, says, document)
	}
}

func TestUser_Patched(t *testing.T) {
	t.Parallel()
	after, err := alice.Patched(patch(t, `{"id":"alice","roles":["user"],"name":null,"attributes":{"badge":null,"level":3}}`))
	require.NoError(t, err)
	assert.Equal(t, room.User{ID: "alice", Username: "alice.a", Roles: []string{"user"}, Attributes: map[string]any{"level": json.Number("3")}}, after)
}

func TestUpdateMember_RefusedPatches(t *testing.T) {
	t.Parallel()
	for document, says := range map[string]string{
		`null`:                       "user is required",
		`{"name":"A"}`:               "user.id is required",
		`{"id":null}`:                "user.id is required",
		`{"id":1}`:                   "user: id must be string, not number",
		`{"id":"a","color":"red"}`:   `user: unknown field "color"`,
		`{"id":"a","roles":[null]}`:  "roles.0",
		`{"id":"a","roles":"admin"}`: "user: roles must be",
		`{"id":"a","name":"` + strings.Repeat("x", room.MaxUserBytes) + `"}`: "at most 262144 are allowed",
	} {
		_, err := room.DecodeRequest(room.EventUserUpdate, "c1", []byte(`{"roomId":"r","user":`+document+`}`))
		if err == nil {
			_, err = room.User{ID: "a"}.Patched(patch(t, document))
		}
		require.ErrorContains(t, err, says, "%.80s", document)
	}
}
