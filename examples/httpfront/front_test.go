package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/appworker/appworkertest"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

func call(t *testing.T, rooms appworker.RoomService, method, path, body string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	front{rooms: rooms, log: slog.New(slog.DiscardHandler)}.handler().ServeHTTP(w, r)
	return w
}

func TestFront_Commands(t *testing.T) {
	t.Parallel()
	rooms := appworkertest.NewRooms()
	const lobby = `{"room":{"slugifiedName":"lobby","type":"channel"},"creator":{"id":"ada"}}`
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/rooms/lobby", "", 404, `"code":"room_not_found"`},
		{"PUT", "/rooms/lobby", "{", 400, `"code":"invalid_request"`},
		{"PUT", "/rooms/lobby", strings.Repeat(" ", maxBody) + lobby, 400, `request body too large`},
		{"PUT", "/rooms/lobby", lobby, 200, `"changed":true`},
		{"PUT", "/rooms/lobby", lobby, 409, `"code":"room_exists"`},
		{"PUT", "/rooms/lobby/members/bob", "", 200, `"changed":true`},
		{"PUT", "/rooms/lobby/members/bob", "", 200, `"changed":false`},
		{"GET", "/rooms/lobby", "", 200, `"memberCount":2`},
		{"DELETE", "/rooms/lobby/members/bob", "", 200, `"changed":true`},
		{"POST", "/rooms/lobby", "", 405, "Method Not Allowed"},
	} {
		w := call(t, rooms, c.method, c.path, c.body, nil)
		assert.Equal(t, c.status, w.Code, "%s %s", c.method, c.path)
		assert.Contains(t, w.Body.String(), c.says, "%s %s", c.method, c.path)
	}
}

func TestFront_SameKeyTakesEffectOnce(t *testing.T) {
	t.Parallel()
	rooms := appworkertest.NewRooms()
	_, err := rooms.Create(t.Context(), room.CreateRequest{
		Room: room.NewRoom{ID: "lobby", SlugifiedName: "lobby", Type: room.Channel}, Creator: room.User{ID: "ada"},
	})
	require.NoError(t, err)
	for range 2 {
		w := call(t, rooms, "PUT", "/rooms/lobby/members/bob", "", http.Header{"Idempotency-Key": {"key-1"}})
		assert.Contains(t, w.Body.String(), `"changed":true`)
	}
}

// refusing is a room service that refuses every join.
type refusing struct {
	appworker.RoomService
	err error
}

func (r refusing) Join(ctx context.Context, _ room.JoinRequest, _ ...roomclient.Option) (room.Result, error) {
	if _, ok := ctx.Deadline(); !ok {
		return room.Result{}, errors.New("the command has no deadline")
	}
	return room.Result{}, r.err
}

func TestFront_Errors(t *testing.T) {
	t.Parallel()
	secret := []room.AppOutcome{{App: "guard", Outcome: room.Failed, Reason: "panic: secret"}}
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
		want   refusal
	}{
		"a denial": {
			&room.Error{Code: room.CodeUserNotAllowed, Message: "app guard denied it", CommandID: "c", App: "guard", Reason: "you are banned here", Apps: secret},
			403, "",
			refusal{room.CodeUserNotAllowed, "you are banned here", "c"},
		},
		"a request that is invalid": {
			room.Errorf(room.CodeInvalidRequest, "user.id is required"),
			400, "",
			refusal{room.CodeInvalidRequest, "user.id is required", ""},
		},
		"an essential app that failed": {
			&room.Error{Code: room.CodeEssentialAppUnavailable, Message: "panic: secret", CommandID: "c", App: "guard", Reason: "panic: secret", Apps: secret},
			503, "1",
			refusal{room.CodeEssentialAppUnavailable, "try again later", "c"},
		},
		"a command whose time ran out": {
			room.Errorf(room.CodeDeadlineExceeded, "secret"), 504, "1", refusal{room.CodeDeadlineExceeded, "try again later", ""},
		},
		"an error of another kind": {errors.New("secret"), 500, "", refusal{"internal", "something went wrong", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, refusing{err: c.err}, "PUT", "/rooms/lobby/members/mallory", "", nil)
			assert.Equal(t, c.status, w.Code)
			assert.Equal(t, c.retry, w.Header().Get("Retry-After"))
			var got refusal
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			assert.Equal(t, c.want, got)
			assert.NotContains(t, w.Body.String(), "secret")
		})
	}
}
