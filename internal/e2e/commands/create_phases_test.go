package commands_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// phases is an app that is asked in all three phases and records the order.
type phases struct {
	mu    *sync.Mutex
	order *[]room.Interface
}

func (p phases) note(i room.Interface) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*p.order = append(*p.order, i)
}

func (p phases) PreRoomCreatePrevent(_ context.Context, e room.Create) error {
	p.note(room.PreRoomCreatePrevent)
	if e.Room.ID == "refused" {
		return room.Prevented("no")
	}
	return nil
}

func (p phases) PreRoomCreateExtend(context.Context, room.Create) (room.Extension, error) {
	p.note(room.PreRoomCreateExtend)
	return room.Extension{CustomFields: map[string]any{"k": "v"}}, nil
}

func (p phases) PreRoomCreateModify(_ context.Context, e room.Create) (room.Room, error) {
	p.note(room.PreRoomCreateModify)
	r := e.Room
	r.Description = "has k=" + e.Room.CustomFields["k"].(string)
	return r, nil
}

func TestCreate_PhasesRunInOrder(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	p := phases{mu: &sync.Mutex{}, order: &[]room.Interface{}}
	b.Work(t, room.Manifest{ID: "one"}, p)
	b.Work(t, room.Manifest{ID: "two"}, appworker.Handlers{PreRoomCreatePrevent: func(context.Context, room.Create) error {
		p.note(room.PreRoomCreatePrevent)
		return nil
	}})
	r := b.Create(t, "r1")
	assert.Equal(t, []room.Interface{room.PreRoomCreatePrevent, room.PreRoomCreatePrevent, room.PreRoomCreateExtend, room.PreRoomCreateModify}, *p.order)
	assert.Equal(t, "has k=v", r.Room.Description, "modify sees the result of extend")

	*p.order = nil
	_, err := b.Client.Create(t.Context(), harness.NewRoom("refused"))
	require.Error(t, err)
	assert.NotContains(t, *p.order, room.PreRoomCreateExtend, "a prevented room is not extended")
}

// Extensions run in parallel: both apps must be in their handlers at once.
func TestCreate_ExtendIsParallel(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	var both sync.WaitGroup
	both.Add(2)
	meet := appworker.Handlers{PreRoomCreateExtend: func(context.Context, room.Create) (room.Extension, error) {
		both.Done()
		both.Wait()
		return room.Extension{}, nil
	}}
	b.Work(t, room.Manifest{ID: "a"}, meet)
	b.Work(t, room.Manifest{ID: "b"}, meet)
	for _, a := range b.Create(t, "r1").Apps {
		assert.Equal(t, room.Allowed, a.Outcome)
	}
}

// The merge patch is RFC 7396 on the wire: null removes, objects merge, numbers keep every digit.
func TestCreate_ModifyIsAMergePatch(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "patcher", Implements: []room.Interface{room.PreRoomCreateModify}})
	b.Answer(t, room.PreRoomCreateModify, "patcher", harness.Says(
		`{"verdict":"allow","modify":{"description":null,"type":"private_group","customFields":{"drop":null,"add":{"n":12345678901234567890}}}}`))
	reply, err := b.NC.Request("room.svc.create", []byte(
		`{"room":{"id":"r1","slugifiedName":"r1","type":"channel","description":"d","customFields":{"drop":1,"big":9007199254740993}},"creator":{"id":"u"}}`), harness.ReplyTime)
	require.NoError(t, err)
	var got struct {
		Room struct {
			Type         string
			Description  *string
			CustomFields json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(reply.Data, &got))
	assert.Equal(t, "private_group", got.Room.Type)
	assert.Nil(t, got.Room.Description)
	assert.JSONEq(t, `{"big":9007199254740993,"add":{"n":12345678901234567890}}`, string(got.Room.CustomFields))
	assert.Contains(t, string(got.Room.CustomFields), "9007199254740993")
	assert.Contains(t, string(got.Room.CustomFields), "12345678901234567890")
}

// The SDK makes the patch from the changed room, and numbers keep every digit.
func TestCreate_ModifyFromTheSDKKeepsNumbers(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Work(t, room.Manifest{ID: "sdk"}, appworker.Handlers{PreRoomCreateModify: func(_ context.Context, e room.Create) (room.Room, error) {
		r := e.Room
		r.CustomFields["big"] = json.Number("9007199254740995")
		delete(r.CustomFields, "drop")
		return r, nil
	}})
	req := harness.NewRoom("r1")
	req.Room.CustomFields = map[string]any{"big": json.Number("9007199254740993"), "same": json.Number("9007199254740997"), "drop": "x"}
	r, err := b.Client.Create(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"big": json.Number("9007199254740995"), "same": json.Number("9007199254740997")}, r.Room.CustomFields)
}

func TestMembersBeyondAPage(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	req := harness.NewRoom("big")
	for n := range room.MaxNewMembers {
		req.Members = append(req.Members, room.User{ID: "member-" + string(rune('a'+n%26)) + nats.NewInbox()[7:]})
	}
	r, err := b.Client.Create(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, room.MaxNewMembers+1, r.Room.MemberCount)
	members := b.Members(t, "big")
	assert.Len(t, members, room.MaxNewMembers+1)
	assert.IsIncreasing(t, members)
}
