package rules_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

func TestReject_KindFollowsError(t *testing.T) {
	t.Parallel()
	c := rules.Command{ID: "c1", Time: at, Request: room.JoinRequest{RoomID: "r1", User: alice}}
	said := []room.AppOutcome{{App: "a", Outcome: room.Allowed}}
	for kind, errs := range map[room.RejectionKind][]room.Error{
		room.RejectionDenied:  {{Code: room.CodePrevented, App: "a"}, {Code: room.CodeUserNotAllowed, App: "a"}},
		room.RejectionBlocked: {{Code: room.CodeEssentialAppUnavailable, App: "a"}, {Code: room.CodeDeadlineExceeded, App: "a"}},
		room.RejectionAborted: {
			{Code: room.CodeConflict},
			{Code: room.CodeUnavailable},
			{Code: room.CodeDeadlineExceeded},
			{Code: room.CodeTooLarge, Apps: said},
		},
		"": {{Code: room.CodeRoomNotFound}, {Code: room.CodeRoomExists}, {Code: room.CodeInvalidRequest}, {Code: room.CodeTooLarge}, {Code: room.CodeOverloaded}},
	} {
		for _, e := range errs {
			r, ok := rules.Reject(c, &e)
			assert.Equal(t, kind != "", ok, e)
			assert.Equal(t, kind, r.Kind, e)
			if ok {
				want := e
				want.CommandID = "c1"
				assert.Equal(t, want, r.Error)
				assert.Equal(t, "c1 join r1 "+alice.ID, strings.Join([]string{r.ID, r.Command, r.Room, r.User}, " "))
			}
		}
	}
}

// Asked returns the data that the event would have had.
func TestRejection_AskedEqualsEventData(t *testing.T) {
	t.Parallel()
	state := rules.State{}
	lives := room.Event{Type: room.EventCreate, Room: "r1", Seq: 1, Version: 1, Data: room.Data{Room: room.Room{ID: "r1"}, Members: []room.User{bob}}}
	require.NoError(t, rules.Evolve(&state, lives))
	for _, request := range []room.Request{
		room.CreateRequest{Room: room.NewRoom{ID: "r2", SlugifiedName: "n", Type: room.Channel}, Creator: alice, Members: []room.User{bob, alice}},
		room.DeleteRequest{RoomID: "r1", DeletedBy: &alice},
		room.JoinRequest{RoomID: "r1", User: alice, Inviter: &bob},
		room.LeaveRequest{RoomID: "r1", User: bob, RemovedBy: &alice},
	} {
		c := rules.Command{ID: "c1", Time: at, Request: request}
		view := state.View(request)
		if request.Event() == room.EventCreate {
			view = rules.View{}
		}
		draft, err := rules.Decide(view, c)
		require.NoError(t, err)
		r, ok := rules.Reject(c, room.Errorf(room.CodeConflict, "m"))
		require.True(t, ok)
		asked := r.Asked()
		if request.Event() != room.EventCreate {
			draft.Data.Room = room.Room{} // the request does not contain it
		}
		assert.Equal(t, draft.Data, asked)

		r.Request = nil
		asked = r.Asked()
		assert.Empty(t, asked.Members)
		if r.Command == "join" {
			assert.Equal(t, alice.ID, asked.JoiningUser.ID, "this much is known without the request")
		}
	}
}
