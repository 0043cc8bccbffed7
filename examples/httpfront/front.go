package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// commandTimeout is longer than a command may take in the service (serve --budget, 4 s), so that
// the service answers before the front gives up.
const commandTimeout = 5 * time.Second

// maxBody bounds the body of a request.
const maxBody = 64 << 10

// front answers HTTP requests. Its room service is a *roomclient.Client, or in tests one in memory.
type front struct {
	rooms appworker.RoomService
	log   *slog.Logger
}

// handler has a path for each command. It does not authenticate users: put it behind a proxy that
// does.
func (f front) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms/{room}", f.serve(f.get))
	mux.HandleFunc("PUT /rooms/{room}", f.serve(f.create))
	mux.HandleFunc("PUT /rooms/{room}/members/{user}", f.serve(f.join))
	mux.HandleFunc("DELETE /rooms/{room}/members/{user}", f.serve(f.leave))
	return http.MaxBytesHandler(mux, maxBody)
}

func (f front) get(ctx context.Context, r *http.Request) (any, error) {
	return f.rooms.Get(ctx, r.PathValue("room"))
}

func (f front) create(ctx context.Context, r *http.Request) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, room.Errorf(room.CodeInvalidRequest, "the body cannot be read: %v", err)
	}
	var c room.CreateRequest
	if err := room.Decode(body, &c); err != nil { // keeps numbers in custom fields exact, unlike encoding/json
		return nil, err
	}
	c.Room.ID = r.PathValue("room")
	return f.rooms.Create(ctx, c, key(r)...)
}

func (f front) join(ctx context.Context, r *http.Request) (any, error) {
	return f.rooms.Join(ctx, room.JoinRequest{RoomID: r.PathValue("room"), User: room.User{ID: r.PathValue("user")}}, key(r)...)
}

func (f front) leave(ctx context.Context, r *http.Request) (any, error) {
	return f.rooms.Leave(ctx, room.LeaveRequest{RoomID: r.PathValue("room"), User: room.User{ID: r.PathValue("user")}}, key(r)...)
}

// key makes the command's id from the Idempotency-Key, so that a request that is sent twice takes
// effect once.
func key(r *http.Request) []roomclient.Option {
	if k := r.Header.Get("Idempotency-Key"); k != "" {
		return []roomclient.Option{roomclient.WithID(k)}
	}
	return nil
}

// serve gives a request its deadline and writes the result. The room client retries until the
// deadline, so the front does not retry.
func (f front) serve(do func(context.Context, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
		defer cancel()
		result, err := do(ctx, r)
		if err != nil {
			f.refuse(w, r, err)
			return
		}
		f.write(w, http.StatusOK, result)
	}
}

// refusal is the part of an error that a user may see. The log has the whole error, with the names
// of apps and their failures.
type refusal struct {
	Code      room.Code `json:"code"`
	Reason    string    `json:"reason"`
	CommandID string    `json:"commandId,omitempty"` // for roombus explain
}

func (f front) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *room.Error
	if !errors.As(err, &e) {
		f.log.Error("request failed", "path", r.URL.Path, "error", err)
		f.write(w, http.StatusInternalServerError, refusal{Code: "internal", Reason: "something went wrong"})
		return
	}
	status := e.Code.Status()
	f.log.Info("request refused", "path", r.URL.Path, "status", status, "command", e.CommandID, "error", err)
	said := refusal{Code: e.Code, Reason: e.Message, CommandID: e.CommandID}
	switch {
	case e.IsDenial():
		said.Reason = e.Reason // the app's reason, meant for the user
	case status >= http.StatusInternalServerError:
		said.Reason = "try again later"
		w.Header().Set("Retry-After", "1")
	}
	f.write(w, status, said)
}

func (f front) write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		f.log.Warn("cannot write the response", "error", err)
	}
}
