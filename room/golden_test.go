package room_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	at    = time.Date(2026, 1, 2, 15, 4, 5, 678901000, time.UTC)
	alice = room.User{ID: "alice", Username: "alice.a", Name: "Alice", Roles: []string{"admin"}, Attributes: map[string]any{"badge": json.Number("9007199254740993")}}
	bob   = room.User{ID: "bob"}
	full  = room.Room{
		ID: "r1", DisplayName: "Room One", SlugifiedName: "room-one", Type: room.PrivateGroup, Creator: alice,
		IsDefault: true, IsReadOnly: true, DisplaySystemMessages: true, Description: "the first",
		CustomFields: map[string]any{"limit": json.Number("12345678901234567890"), "nested": map[string]any{"a": "b"}},
		ParentRoomID: "r0", CreatedAt: at, MemberCount: 2, Version: 7,
	}
	bare     = room.Room{ID: "r2", SlugifiedName: "r2", Type: room.Channel, Creator: bob, CreatedAt: at, MemberCount: 1, Version: 1}
	ref      = room.EventRef{ID: "0197-c1", Seq: 42, Time: at, Version: 7}
	outcomes = []room.AppOutcome{
		{App: "guard", Interface: room.PreRoomUserJoined, Outcome: room.Allowed, Ms: 0.125},
		{App: "namer", Interface: room.PreRoomCreateModify, Outcome: room.Allowed, Ms: 1, Changed: []string{"customFields.topic", "displayName"}},
		{App: "slow", Interface: room.PreRoomUserJoined, Outcome: room.TimedOut, Reason: "no verdict within 1000 ms", Ms: 1000.2, Shadow: true},
		{App: "names", Interface: room.PreRoomCreatePrevent, Outcome: room.Allowed, Ms: 0.5, Reinvoked: true},
		{App: "house", Interface: room.PreRoomUserJoined, Outcome: room.Failed, Reason: "rule 2: deny: 1:5: no such key: x", Rule: 2, Ms: 0.01},
	}
	policy = room.Manifest{
		ID: "house", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined, room.PreRoomCreateExtend, room.PreRoomCreateModify},
		Params: []string{"bans"}, Rules: map[room.Interface][]room.Rule{
			room.PreRoomUserJoined: {
				{Deny: "user.id in params.bans", Reason: "banned"}, {Deny: "false", ReasonExpression: "user.id"}, {Warn: `"hello"`},
			},
			room.PreRoomCreateExtend: {{Extend: &room.ExtendRule{CustomFields: map[string]room.Expression{"owner": "room.creator.id"}, Members: `["bot"]`}}},
			room.PreRoomCreateModify: {{Modify: map[string]*room.Expression{"displayName": new(room.Expression("room.id")), "description": nil}}},
		},
	}
	cut     = room.Cut{Outcomes: 1, Reasons: 2, Changed: 3, Warnings: 4}
	figures = room.Figures{
		Calls: 20, Allowed: 10, Denied: 5, Skipped: 1, Failed: 1, TimedOut: 3, Unavailable: 2, FailOpen: 4, WouldHaveDenied: 1,
		Retried: 4, Late: 2, P50Ms: 0.25, P99Ms: 1000, Breaker: room.BreakerHalfOpen,
		LastFailure: &room.Failure{Time: at, Command: "c1", Outcome: room.TimedOut, Reason: "no verdict within 1000 ms"},
	}
)

// golden has examples of all wire types.
var golden = map[string]any{
	"user":                  alice,
	"user_bare":             bob,
	"room":                  full,
	"room_bare":             bare,
	"policy":                policy,
	"create_request":        room.CreateRequest{Room: room.NewRoom{ID: "r1", DisplayName: "Room One", SlugifiedName: "room-one", Type: room.LiveChat, Description: "d", IsReadOnly: true, IsDefault: true, DisplaySystemMessages: new(false), CustomFields: map[string]any{"k": "v"}, ParentRoomID: "r0"}, Creator: alice, Members: []room.User{bob}},
	"create_minimal":        room.CreateRequest{Room: room.NewRoom{SlugifiedName: "r", Type: room.DirectMessage}, Creator: bob},
	"delete_request":        room.DeleteRequest{RoomID: "r1", DeletedBy: &bob},
	"join_request":          room.JoinRequest{RoomID: "r1", User: alice, Inviter: &bob},
	"leave_request":         room.LeaveRequest{RoomID: "r1", User: bob, RemovedBy: &alice},
	"update_request":        room.UpdateRequest{RoomID: "r1", Patch: room.Patch{"displayName": "D", "description": nil, "customFields": map[string]any{"k": json.Number("9007199254740993"), "l": nil}}, UpdatedBy: &alice, IfVersion: 7},
	"update_member_request": room.UpdateMemberRequest{RoomID: "r1", User: room.Patch{"id": "bob", "roles": []any{"moderator"}}, UpdatedBy: &alice},
	"get_request":           room.GetRequest{RoomID: "r1"},
	"list_request":          room.ListRequest{Member: "alice", SlugifiedNamePrefix: "room-", Type: room.Channel, Cursor: "r1", Limit: 10},
	"list_bare":             room.ListRequest{},
	"members_request":       room.MembersRequest{RoomID: "r1", Cursor: "alice", Limit: 10},
	"app_request":           room.AppRequest{ID: "guard"},
	"result_changed":        room.Result{Changed: true, Room: full, Event: &ref, Warnings: []string{"crowded"}, Apps: outcomes, Cut: cut},
	"result_unchanged":      room.Result{Room: bare},
	"room_page":             room.Page{Rooms: []room.Room{bare}, Cursor: "r2"},
	"member_page":           room.MemberPage{Members: []room.User{bob}},
	"error_app":             &room.Error{Code: room.CodeAppNotFound, Message: `there is no app "guard"`, NeverRegistered: true},
	"error":                 &room.Error{Code: room.CodeUserNotAllowed, Message: "app guard denied it: closed", CommandID: "0197-c1", App: "guard", Reason: "closed", Apps: outcomes[:1], Cut: cut},
	"error_version":         &room.Error{Code: room.CodeConflict, Message: `room "r1" has version 7, not 6: read it again`, CommandID: "0197-c1", Version: 7},
	"error_bare":            room.NotFound("r9"),
	"manifest":              room.Manifest{ID: "guard", Version: "1.2.3-rc.1+b5", Description: "guards", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomCreate}, Essentials: []room.Interface{room.PreRoomUserJoined}, When: map[room.Interface]string{room.PreRoomUserJoined: `room.type == "channel"`}, ReinvocationPolicy: room.ReinvokeIfNeeded, Shadow: true}.WithDefaults(),
	"registration":          room.Registration{Manifest: room.Manifest{ID: "guard", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined}, Essentials: []room.Interface{}}, Operator: room.Settings{Enabled: new(false), Shadow: new(false)}},
	"registration_rolled_back": room.Registration{
		Manifest:       room.Manifest{ID: "guard", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined}, Essentials: []room.Interface{}},
		Remembered:     []room.Manifest{{ID: "guard", Version: "2.0.0", Implements: []room.Interface{room.PreRoomUserLeave}, Essentials: []room.Interface{}}},
		RolledBackFrom: "2.0.0",
	},
	"app": room.App{
		Manifest: room.Manifest{ID: "guard", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined}}.WithDefaults(),
		State: &room.AppState{
			Workers: []room.Worker{{ID: "w1", Version: "1.0.0"}},
			Waiting: room.Waiting{Backlog: new(uint64(3)), AckPending: 2, MaxAckPending: 2, Oldest: &room.WaitingEvent{Seq: 42, Room: "r1", Time: at}, Stuck: true},
			Unseen:  true, Parked: 4, Replays: 1, DeadLetters: 2,
			Post:     map[room.Interface]room.PostFigures{room.PostRoomUserJoined: {Handled: 7, Failed: 2, InHand: 1, LongestMs: 35000, LastError: "bad"}},
			Replicas: 2, Figures: figures,
			Interfaces: map[room.Interface]room.Figures{room.PreRoomUserJoined: figures}, Operator: room.Settings{Enabled: new(true)},
			Remembered: []string{"2.0.0", "0.9.0"}, RolledBackFrom: "2.0.0",
		},
	},
	"shadow_request":   room.ShadowRequest{ID: "guard", Shadow: new(false)},
	"rollback_request": room.RollbackRequest{ID: "guard", Version: "1.0.0"},
	"param":            room.Param{Name: "bans", Revision: 12, Time: at, Bytes: 19, Readers: []string{"house"}, Document: json.RawMessage(`{"ids":["mallory"]}`)},
	"param_listed":     room.Param{Name: "bans", Revision: 12, Time: at, Bytes: 19, Readers: []string{}},
	"param_put":        room.ParamPut{Name: "bans", Document: json.RawMessage(`{"ids":["mallory"]}`), IfRevision: new(uint64(0))},
	"param_request":    room.ParamRequest{Name: "bans"},
	"rejection": room.Rejection{
		ID: "c1", Time: at, Command: "join", Room: "r1", User: "alice", Kind: room.RejectionDenied,
		CausedBy: []string{"0197-c0", "welcome-2"},
		Error:    room.Error{Code: room.CodeUserNotAllowed, Message: "app guard denied it: closed", CommandID: "c1", App: "guard", Reason: "closed", Apps: outcomes[:1]},
		Request:  json.RawMessage(`{"roomId":"r1","user":{"id":"alice"}}`),
	},
	"pre_create":           room.Data{Room: full, Members: []room.User{alice, bob}},
	"pre_delete":           room.Data{Room: bare, DeletedBy: &alice},
	"pre_userjoin":         room.Data{Room: bare, JoiningUser: &alice, Inviter: &bob},
	"pre_userleave":        room.Data{Room: bare, LeavingUser: &bob, RemovedBy: &alice},
	"post_delete":          room.Data{Room: bare, Members: []room.User{bob}, DeletedBy: &alice},
	"post_userjoin":        room.Data{Room: full, JoiningUser: &alice, Apps: outcomes, Warnings: []string{"crowded"}, Cut: cut},
	"pre_update":           room.Data{Room: bare, Before: &bare, After: &full, Changed: []string{"displayName", "customFields.k"}, UpdatedBy: &alice},
	"post_update":          room.Data{Room: full, Before: &bare, After: &full, Changed: []string{"displayName"}, Apps: outcomes},
	"pre_userupdate":       room.Data{Room: bare, UserBefore: &bob, UserAfter: &alice, Changed: []string{"roles", "attributes.badge"}, UpdatedBy: &bob},
	"verdict_allow":        room.Verdict{Verdict: room.Allow, Warnings: []string{"crowded"}},
	"verdict_deny":         room.Verdict{Verdict: room.Deny, Reason: "closed"},
	"verdict_skip":         room.Verdict{Verdict: room.Skip},
	"verdict_extend":       room.Verdict{Verdict: room.Allow, Extend: &room.Extension{CustomFields: map[string]any{"k": "v"}, Members: []room.User{bob}}},
	"verdict_modify":       room.Verdict{Verdict: room.Allow, Modify: json.RawMessage(`{"description":null,"displayName":"D"}`)},
	"verdict_replace":      room.Verdict{Verdict: room.Allow, Replace: json.RawMessage(`{"id":"r1","slugifiedName":"r1","type":"channel","creator":{"id":"bob"},"isDefault":false,"isReadOnly":false,"displaySystemMessages":true,"customFields":{"score":null},"createdAt":"2026-01-02T15:04:05.678901Z","memberCount":1,"version":0}`)},
	"handled_created":      room.Created{Create: room.Create{Room: bare, Members: []room.User{bob}}, Apps: outcomes},
	"handled_deleted":      room.Deleted{Delete: room.Delete{Room: bare, DeletedBy: &bob}, Members: []room.User{bob}},
	"handled_joined":       room.UserJoined{UserJoin: room.UserJoin{Room: bare, JoiningUser: alice, Inviter: &bob}},
	"handled_updated":      room.Updated{Update: room.Update{Before: bare, After: full, Changed: []string{"displayName"}, UpdatedBy: &bob}, Apps: outcomes},
	"handled_user_updated": room.UserUpdated{UserUpdate: room.UserUpdate{Room: bare, UserBefore: bob, UserAfter: alice, Changed: []string{"roles"}}},
	"handled_left":         room.UserLeft{UserLeave: room.UserLeave{Room: bare, LeavingUser: alice, RemovedBy: &bob}},
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, value := range golden {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", name+".json")
			got, err := json.MarshalIndent(value, "", "  ")
			require.NoError(t, err)
			got = append(got, '\n')
			if *update {
				require.NoError(t, os.WriteFile(file, got, 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))
		})
	}
}

// The output of Encode is identical to that of encoding/json.
func TestEncode_EqualsMarshal(t *testing.T) {
	t.Parallel()
	for name, value := range golden {
		want, err := json.Marshal(value)
		require.NoError(t, err)
		got, err := room.Encode(value)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), name)
	}
}

// Decoding and encoding a golden file gives identical bytes: no field is lost, no number is rounded.
func TestGolden_DecodeEncode(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(golden))
	for name, value := range golden {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			written, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			require.NoError(t, err)
			read := reflectNew(value)
			require.NoError(t, room.Decode(written, read))
			again, err := json.MarshalIndent(read, "", "  ")
			require.NoError(t, err)
			assert.Equal(t, string(bytes.TrimSpace(written)), string(again))
		})
	}
}

// reflectNew returns a pointer to a zero value of v's type.
func reflectNew(v any) any {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.New(t).Interface()
}
