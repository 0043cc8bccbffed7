package appworkertest

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

// Rooms is an in-memory room service for handlers that use one. It decides commands as the room service
// does, with the same errors. It executes a command with the same id only once. It asks no apps. Rooms is
// safe for concurrent use.
type Rooms struct {
	mu     sync.Mutex
	states map[string]*rules.State
	done   map[string]room.Event // by command id
	seq    uint64
}

var _ appworker.RoomService = (*Rooms)(nil)

// NewRooms returns a room service without rooms.
func NewRooms() *Rooms {
	return &Rooms{states: make(map[string]*rules.State), done: make(map[string]room.Event)}
}

// Get implements appworker.RoomService.
func (s *Rooms) Get(ctx context.Context, roomID string) (room.Room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, err := s.live(ctx, roomID)
	if err != nil {
		return room.Room{}, err
	}
	return *live.Room, nil
}

// Members implements appworker.RoomService.
func (s *Rooms) Members(ctx context.Context, r room.MembersRequest) (room.MemberPage, error) {
	if err := r.Validate(); err != nil {
		return room.MemberPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	live, err := s.live(ctx, r.RoomID)
	if err != nil {
		return room.MemberPage{}, err
	}
	size := room.PageSize(r.Limit)
	page := room.MemberPage{Members: live.MembersAfter(r.Cursor, size)}
	if len(page.Members) == size && len(live.MembersAfter(page.Members[size-1].ID, 1)) > 0 {
		page.Cursor = page.Members[size-1].ID
	}
	return page, nil
}

// Create implements appworker.RoomService.
func (s *Rooms) Create(ctx context.Context, r room.CreateRequest, opts ...roomclient.Option) (room.Result, error) {
	return s.do(ctx, r, opts)
}

// Delete implements appworker.RoomService.
func (s *Rooms) Delete(ctx context.Context, r room.DeleteRequest, opts ...roomclient.Option) (room.Result, error) {
	return s.do(ctx, r, opts)
}

// Join implements appworker.RoomService.
func (s *Rooms) Join(ctx context.Context, r room.JoinRequest, opts ...roomclient.Option) (room.Result, error) {
	return s.do(ctx, r, opts)
}

// Leave implements appworker.RoomService.
func (s *Rooms) Leave(ctx context.Context, r room.LeaveRequest, opts ...roomclient.Option) (room.Result, error) {
	return s.do(ctx, r, opts)
}

// Update implements appworker.RoomService.
func (s *Rooms) Update(ctx context.Context, r room.UpdateRequest, opts ...roomclient.Option) (room.Result, error) {
	return s.do(ctx, r, opts)
}

// UpdateMember implements appworker.RoomService.
func (s *Rooms) UpdateMember(ctx context.Context, r room.UpdateMemberRequest, opts ...roomclient.Option) (room.Result, error) {
	return s.do(ctx, r, opts)
}

func (s *Rooms) live(ctx context.Context, roomID string) (*rules.State, error) {
	if ctx.Err() != nil {
		return nil, room.Errorf(room.CodeUnavailable, "%v", ctx.Err())
	}
	if err := room.ValidateToken("roomId", roomID); err != nil {
		return nil, err
	}
	if state := s.states[roomID]; state != nil && state.Room != nil {
		return state, nil
	}
	return nil, room.NotFound(roomID)
}

func (s *Rooms) do(ctx context.Context, r room.Request, opts []roomclient.Option) (room.Result, error) {
	if ctx.Err() != nil {
		return room.Result{}, room.Errorf(room.CodeUnavailable, "%v", ctx.Err())
	}
	header := make(nats.Header)
	for _, set := range opts {
		set(header)
	}
	id := header.Get(subjects.CommandID)
	if id == "" {
		id = nuid.Next()
	}
	if err := room.ValidateToken(subjects.CommandID, id); err != nil {
		return room.Result{}, err
	}
	body, err := room.Encode(r)
	if err != nil {
		return room.Result{}, err
	}
	if r, err = room.DecodeRequest(r.Event(), id, body); err != nil {
		return room.Result{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if event, done := s.done[id]; done {
		if !rules.Matches(event, r) {
			return room.Result{}, room.Errorf(room.CodeInvalidRequest, "command id %s was used for another request", id)
		}
		return event.Result(), nil
	}
	return s.commit(id, r)
}

func (s *Rooms) commit(id string, r room.Request) (room.Result, error) {
	state := s.states[r.Target()]
	if state == nil {
		state = &rules.State{}
	}
	view := state.View(r)
	now := time.Now().UTC().Truncate(time.Microsecond)
	draft, err := rules.Decide(view, rules.Command{ID: id, Time: now, Bounds: bounds, Request: r})
	if err != nil {
		return room.Result{}, err
	}
	if draft == nil {
		return room.Result{Room: view.Room}, nil
	}
	data := draft.Final()
	event := room.Event{
		ID: id, Type: draft.Event, Room: r.Target(), Time: view.Time(now), Seq: s.seq + 1,
		Expected: view.Seq, Previous: view.Latest, Version: data.Room.Version, Fingerprint: rules.Fingerprint(r), Data: data,
	}
	if err := rules.Evolve(state, event); err != nil {
		return room.Result{}, room.Errorf(room.CodeUnavailable, "%v", err)
	}
	s.seq++
	s.states[r.Target()], s.done[id] = state, event
	return event.Result(), nil
}
