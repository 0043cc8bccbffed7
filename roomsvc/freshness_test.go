package roomsvc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// holdBack keeps the services from reading more of the stream until it is released.
func holdBack(t *testing.T, s *Service) (release func()) {
	t.Helper()
	var names []string
	for c := range s.streams.Events().ListConsumers(t.Context()).Info() {
		names = append(names, c.Name)
	}
	require.NotEmpty(t, names)
	for _, name := range names {
		p, err := s.streams.Events().PauseConsumer(t.Context(), name, time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.True(t, p.Paused)
	}
	release = sync.OnceFunc(func() {
		for _, name := range names {
			_, err := s.streams.Events().ResumeConsumer(context.Background(), name)
			assert.NoError(t, err)
		}
	})
	t.Cleanup(release) // before the services stop, which read to the end
	return release
}

// ask sends a request to an endpoint of a service and returns the reply.
func ask(ctx context.Context, s *Service, name, body, minSeq string) (reply *nats.Msg, err error) {
	endpoints := s.endpoints.list()
	at := slices.IndexFunc(endpoints, func(e bus.Endpoint) bool { return e.Name == name })
	msg := &nats.Msg{Header: nats.Header{}, Data: []byte(body)}
	if minSeq != "" {
		msg.Header.Set(subjects.MinSeq, minSeq)
	}
	if deadline, ok := ctx.Deadline(); ok {
		msg.Header.Set(subjects.TimeoutMs, strconv.FormatInt(time.Until(deadline).Milliseconds(), 10))
	}
	data, header, err := endpoints[at].Arrive(msg, time.Now())()
	if err != nil {
		return s.endpoints.refuse("", err), coded(err)
	}
	return &nats.Msg{Header: header, Data: data}, nil
}

// A read at one service finds the commit of another service.
func TestRead_WaitsForMinSeq(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"get": `{"roomId":"r"}`, "members": `{"roomId":"r"}`, "list": ``} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := twoServices(t)
			createRoom(t, first)
			require.NoError(t, second.projection.CatchUp(t.Context()))
			release := holdBack(t, second)
			joined := requireJoin(t, first, first, "j1", "alice")
			stale, err := ask(t.Context(), second, name, body, "")
			require.NoError(t, err)
			require.NotContains(t, string(stale.Data), `"memberCount":2`)
			require.NotContains(t, string(stale.Data), "alice")

			waiting := second.projection.Waiting()
			type answer struct {
				reply *nats.Msg
				err   error
			}
			answers := make(chan answer, 1)
			go func() {
				reply, err := ask(t.Context(), second, name, body, strconv.FormatUint(joined.Event.Seq, 10))
				answers <- answer{reply, err}
			}()
			require.Eventually(t, func() bool { return second.projection.Waiting() > waiting }, patience, tick)
			require.Empty(t, answers)
			release()
			fresh := <-answers
			require.NoError(t, fresh.err)
			if name == "members" {
				assert.JSONEq(t, `{"members":[{"id":"alice"},{"id":"owner"}]}`, string(fresh.reply.Data))
			} else {
				assert.Contains(t, string(fresh.reply.Data), `"memberCount":2`)
			}
			assert.Equal(t, "2", fresh.reply.Header.Get("Room-Seq"))
		})
	}
}

func TestRead_DeadlineErrorNamesReplicaSeq(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, first)
	require.NoError(t, second.projection.CatchUp(t.Context()))
	holdBack(t, second)
	requireJoin(t, first, first, "j1", "alice")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	reply, err := ask(ctx, second, "get", `{"roomId":"r"}`, "2")
	require.ErrorIs(t, err, &room.Error{Code: room.CodeDeadlineExceeded})
	require.ErrorContains(t, err, "this replica has read the stream up to sequence 1, not yet up to 2")
	assert.Equal(t, "1", reply.Header.Get("Room-Seq"))
}

// The leader reports the end of the stream, and the read does not use up its time.
func TestRead_MinSeqBeyondStreamEndIsConflict(t *testing.T) {
	t.Parallel()
	_, s := twoServices(t)
	createRoom(t, s)
	for _, seq := range []string{"2", "18446744073709551615"} {
		_, err := ask(t.Context(), s, "get", `{"roomId":"r"}`, seq)
		require.ErrorIs(t, err, &room.Error{Code: room.CodeConflict}, "it has not waited for the end of its time")
		require.ErrorContains(t, err, "the stream ends at sequence 1")
	}
}

func TestRead_MinSeqMustBeWholeNumber(t *testing.T) {
	t.Parallel()
	_, s := twoServices(t)
	createRoom(t, s)
	for _, bad := range []string{"x", "-1", "1.5", " 1", "1e3", "18446744073709551616"} {
		_, err := ask(t.Context(), s, "list", ``, bad)
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, bad)
	}
	_, err := ask(t.Context(), s, "list", ``, "0")
	require.NoError(t, err)
}

// A reply has the sequence of its state, in the body or in the header.
func TestReply_NamesItsSequence(t *testing.T) {
	t.Parallel()
	_, s := twoServices(t)
	createRoom(t, s)
	for _, c := range []struct{ name, body, seq string }{
		{"get", `{"roomId":"r"}`, "1"},
		{"get", `{"roomId":"x"}`, "1"},
		{"members", `{"roomId":"r"}`, "1"},
		{"list", ``, "1"},
		{"join", `{"roomId":"r","user":{"id":"owner"}}`, "1"},
		{"join", `{"roomId":"x","user":{"id":"owner"}}`, "1"},
		{"join", `{"roomId":"r","user":{"id":"alice"}}`, ""},
		{"get", `{"roomId":"r"}`, "2"},
		{"app-list", ``, ""},
	} {
		reply, _ := ask(t.Context(), s, c.name, c.body, "")
		assert.Equal(t, c.seq, reply.Header.Get("Room-Seq"), "%s %s", c.name, c.body)
	}
}

// The reply has the other service's state and its sequence. This service may lag behind.
func TestHandover_ReplyNamesSequenceOfOtherService(t *testing.T) {
	t.Parallel()
	_, s := twoServices(t)
	createRoom(t, s)
	replies := make(chan *nats.Msg, 1)
	_, err := s.nc.Subscribe(subjects.Handover("0", room.EventUserJoin), func(msg *nats.Msg) {
		assert.NoError(t, msg.RespondMsg(<-replies))
	})
	require.NoError(t, err)
	refused := s.endpoints.refuse("", room.NotFound("r"))
	refused.Header.Set("Room-Seq", "99")
	for name, c := range map[string]struct {
		reply *nats.Msg
		seq   string
	}{
		"unchanged": {&nats.Msg{Header: nats.Header{"Room-Seq": {"99"}}, Data: []byte(`{"changed":false}`)}, "99"},
		"changed":   {&nats.Msg{Data: []byte(`{"changed":true,"event":{"seq":99}}`)}, ""},
		"refused":   {refused, "99"},
	} {
		s.peers.Met("r", "0")
		replies <- c.reply
		reply, err := ask(t.Context(), s, "join", `{"roomId":"r","user":{"id":"alice"}}`, "")
		assert.Equal(t, name == "refused", err != nil, name)
		if err == nil {
			assert.Equal(t, string(c.reply.Data), string(reply.Data), name)
		} else {
			require.ErrorIs(t, err, room.NotFound("r"), name)
		}
		assert.Equal(t, c.seq, reply.Header.Get("Room-Seq"), name)
	}
}

// chain is the header of a command with that number of causes.
func chain(causes int) nats.Header {
	h := nats.Header{}
	var ids []string
	for n := range causes {
		ids = append(ids, fmt.Sprintf("c%d", n))
	}
	subjects.SetCauses(h, ids)
	return h
}

// A command that is handed over keeps its causes.
func TestHandover_CommandKeepsCauses(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, second)
	require.NoError(t, first.projection.CatchUp(t.Context()))
	second.peers.Met("r", first.cfg.ID)
	body, err := json.Marshal(joinOf("alice"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = second.do(ctx, room.EventUserJoin, &nats.Msg{Header: chain(2), Data: body})
	require.NoError(t, err)
	msg, err := second.streams.Events().GetLastMsgForSubject(t.Context(), subjects.PostsOf("r"))
	require.NoError(t, err)
	assert.Equal(t, first.cfg.ID, subjects.Committer(msg.Header))
	assert.Equal(t, "c0,c1", msg.Header.Get("Room-Caused-By"))
}
