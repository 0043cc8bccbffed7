package roomsvc

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/lanes"
	"github.com/roombus/roombus/roomsvc/peers"
	"github.com/roombus/roombus/subjects"
)

// twoServices starts two services on one server. The first has the lower id.
func twoServices(t *testing.T) (first, second *Service) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	start := func() *Service {
		nc, err := server.Connect()
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		s, err := Start(t.Context(), nc, Config{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Stop(context.Background()) }) // a test may have stopped it
		return s
	}
	first, second = start(), start()
	if first.cfg.ID > second.cfg.ID {
		return second, first
	}
	return first, second
}

// send sends a command to a service, and returns the id of the service that has committed it.
func send(t *testing.T, s *Service, e room.EventType, id string, request room.Request) (room.Result, string, error) {
	t.Helper()
	body, err := json.Marshal(request)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := s.do(ctx, e, &nats.Msg{Header: nats.Header{subjects.CommandID: {id}}, Data: body})
	if err != nil {
		return room.Result{}, "", err
	}
	reply, err := json.Marshal(result)
	require.NoError(t, err)
	var r room.Result
	require.NoError(t, json.Unmarshal(reply, &r))
	if r.Event == nil {
		return r, "", nil
	}
	msg, err := s.streams.Events().GetMsg(ctx, r.Event.Seq)
	require.NoError(t, err)
	require.Equal(t, id, msg.Header.Get(subjects.ID))
	return r, subjects.Committer(msg.Header), nil
}

var creation = room.CreateRequest{Room: room.NewRoom{ID: "r", SlugifiedName: "r", Type: room.Channel}, Creator: room.User{ID: "owner"}}

// createRoom creates the room "r" through one of the services.
func createRoom(t *testing.T, s *Service) {
	t.Helper()
	_, by, err := send(t, s, room.EventCreate, "c1", creation)
	require.NoError(t, err)
	require.Equal(t, s.cfg.ID, by)
}

func joinOf(user string) room.JoinRequest {
	return room.JoinRequest{RoomID: "r", User: room.User{ID: user}}
}

// requireJoin sends a join to one of the services, and checks which service has committed it.
func requireJoin(t *testing.T, through, by *Service, id, user string) room.Result {
	t.Helper()
	r, committed, err := send(t, through, room.EventUserJoin, id, joinOf(user))
	require.NoError(t, err)
	require.Equal(t, by.cfg.ID, committed)
	return r
}

// change enters the lane of the room "r" to change it.
var change = lanes.Command{Room: "r", User: "x", Changes: true}

func aliceJoins() *nats.Msg {
	return &nats.Msg{Header: nats.Header{subjects.CommandID: {"j1"}}, Data: []byte(`{"roomId":"r","user":{"id":"alice"}}`)}
}

func TestHandover_CommandsOfRoomGoToOtherService(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, second)

	second.peers.Met("r", first.cfg.ID)
	r := requireJoin(t, second, first, "j1", "alice")
	assert.True(t, r.Changed)
	assert.Equal(t, 2, r.Room.MemberCount)
	_, _, err := send(t, second, room.EventCreate, "c2", creation)
	require.ErrorIs(t, err, &room.Error{Code: room.CodeRoomExists}, "an error comes back as it is")

	// A command that was handed over is not handed over again.
	third, err := first.nc.SubscribeSync(subjects.Handover("0", room.EventUserJoin))
	require.NoError(t, err)
	first.peers.Met("r", "0")
	second.peers.Met("r", first.cfg.ID)
	requireJoin(t, second, first, "j2", "bob")
	require.Equal(t, "0", first.peers.Having("r"))
	pending, _, err := third.Pending()
	require.NoError(t, err)
	assert.Zero(t, pending)

	require.NoError(t, first.Stop(t.Context()))
	second.peers.Met("r", first.cfg.ID)
	requireJoin(t, second, second, "j3", "carol") // the other service is gone
	assert.Empty(t, second.peers.Having("r"))
}

// A service that does not answer may still execute the command. It gets no further commands, unless
// the command had too little time.
func TestHandover_SilentServiceIsAvoided(t *testing.T) {
	t.Parallel()
	_, s := twoServices(t)
	createRoom(t, s)
	silent, err := s.nc.SubscribeSync(subjects.Handover("0", room.EventUserJoin))
	require.NoError(t, err)
	for _, budget := range []time.Duration{100 * time.Millisecond, 3 * time.Second} {
		s.peers.Met("r", "0")
		require.Equal(t, "0", s.peers.Having("r"))
		ctx, cancel := context.WithTimeout(t.Context(), budget)
		defer cancel()
		_, err = s.do(ctx, room.EventUserJoin, aliceJoins())
		require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
		require.NoError(t, ctx.Err(), "there is time left to send it again")
		msg, err := silent.NextMsg(time.Second)
		require.NoError(t, err, "it has been handed over")
		assert.Less(t, subjects.TimeLeft(msg.Header, time.Hour), budget/2, "time to say that it was too little")
	}
	requireJoin(t, s, s, "j1", "alice")
}

// A service that refuses a command as overloaded has not begun it.
func TestHandover_CommandRefusedAsOverloadedIsDoneHere(t *testing.T) {
	t.Parallel()
	_, s := twoServices(t)
	createRoom(t, s)
	_, err := s.nc.Subscribe(subjects.Handover("0", room.EventUserJoin), func(msg *nats.Msg) {
		no := s.endpoints.refuse("", room.Errorf(room.CodeOverloaded, "too much"))
		no.Subject = msg.Reply
		assert.NoError(t, s.nc.PublishMsg(no))
	})
	require.NoError(t, err)
	s.peers.Met("r", "0")
	requireJoin(t, s, s, "j1", "alice")
}

// If the other service's part of the time is too short, the client has time left to send the
// command again.
func TestHandover_DeadlineAtOtherServiceLeavesTimeToRetry(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, second)
	require.NoError(t, first.projection.CatchUp(t.Context()))
	_, err := first.commands.lanes.Enter(change) // the room is busy there
	require.NoError(t, err)
	second.peers.Met("r", first.cfg.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = second.do(ctx, room.EventUserJoin, aliceJoins())
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	require.NoError(t, ctx.Err())
	second.peers.Met("r", first.cfg.ID)
	assert.Equal(t, first.cfg.ID, second.peers.Having("r"), "it is in order, and is not avoided")
}

// Two services that conflict learn which of them has the room.
func TestHandover_ConflictNamesServiceWithRoom(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, first)
	c, err := second.commands.decode(room.EventUserJoin, aliceJoins())
	require.NoError(t, err)
	require.NoError(t, second.projection.CatchUp(t.Context()))
	old, _ := second.projection.View(c)
	requireJoin(t, first, first, "j0", "zoe")
	draft, err := rules.Decide(old, c)
	require.NoError(t, err)
	require.Equal(t, moved, second.commands.committer.commit(t.Context(), c, old, *draft).fate)
	assert.Equal(t, first.cfg.ID, second.peers.Having("r"))
	assert.Equal(t, uint64(1), second.commands.committer.conflicts.Load())
	requireJoin(t, second, first, "j1", "alice")
}

// A command that has waited for its turn, or has lost a conflict, goes to the service that has the
// room by then.
func TestHandover_CommandInProgress(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, second)
	busy, err := second.commands.lanes.Enter(change)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := second.do(ctx, room.EventUserJoin, aliceJoins())
		done <- err
	}()
	require.Eventually(t, func() bool { return second.commands.lanes.Len("r") == 2 }, patience, tick)
	second.peers.Met("r", first.cfg.ID)
	busy.Leave()
	require.NoError(t, <-done)
	msg, err := second.streams.Events().GetLastMsgForSubject(t.Context(), subjects.PostsOf("r"))
	require.NoError(t, err)
	assert.Equal(t, first.cfg.ID, subjects.Committer(msg.Header))
}

// A new leader may report a conflict where there is none.
func TestHandover_SpuriousConflictIsIgnored(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, first)
	require.NoError(t, second.projection.CatchUp(t.Context()))
	claimed := false
	stored := second.commands.committer.append
	second.commands.committer.append = func(ctx context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error) {
		if !claimed {
			claimed = true
			return 0, bus.ErrConflict
		}
		return stored(ctx, msg, id, g)
	}
	requireJoin(t, second, second, "j1", "alice")
	assert.Zero(t, second.commands.committer.conflicts.Load())
	assert.Empty(t, second.peers.Having("r"))
}

// Commands of one user that are handed over take effect in the order of arrival.
func TestHandover_KeepsOrderOfUser(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, second)
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	var commands sync.WaitGroup
	for n := range 50 { // all have to be done within the budget of the other service
		for k, e := range []room.EventType{room.EventUserJoin, room.EventUserLeave} {
			msg := &nats.Msg{
				Header: nats.Header{subjects.CommandID: {fmt.Sprintf("c%d-%d", n, k)}},
				Data:   fmt.Appendf(nil, `{"roomId":"r","user":{"id":"u%d"}}`, n),
			}
			serve := second.commands.command(e, true)(msg) // in the order in which they came
			commands.Go(func() {
				second.peers.Met("r", first.cfg.ID)
				_, err := serve(ctx, msg)
				assert.NoError(t, err)
			})
		}
	}
	commands.Wait()
	require.NoError(t, first.projection.CatchUp(t.Context()))
	members, err := first.projection.MembersAfter("r", "", 1000)
	require.NoError(t, err)
	assert.Len(t, members, 1, "no leave has overtaken its join")
}

// The other service has only a part of the command's time. If that is less than the fair time of
// the apps, the command stays here.
func TestHandover_OnlyWithFairTimeForApps(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, second)
	_, err := first.registry.Register(t.Context(), room.Manifest{ID: "hangs", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(2000)}, "")
	require.NoError(t, err)
	_, err = first.nc.Subscribe(subjects.Pre(room.PreRoomUserJoined, "hangs"), func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, first.nc.Flush())
	second.peers.Met("r", first.cfg.ID)
	ctx, cancel := context.WithTimeout(t.Context(), second.cfg.Budget)
	defer cancel()
	_, err = second.do(ctx, room.EventUserJoin, aliceJoins())
	require.NoError(t, err)
}

// do executes a command at the service.
func (s *Service) do(ctx context.Context, e room.EventType, msg *nats.Msg) (any, error) {
	return s.commands.command(e, true)(msg)(ctx, msg)
}

// A service that was stopped must not execute a command after the client has its answer.
func TestHandover_DeadlineBeforeDeadlineOfClient(t *testing.T) {
	t.Parallel()
	first, second := twoServices(t)
	createRoom(t, second)
	over := make(chan *nats.Msg, 1)
	sub, err := second.nc.ChanSubscribe(subjects.Handover("0", room.EventUserJoin), over)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	second.peers.Met("r", "0")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := second.do(ctx, room.EventUserJoin, aliceJoins()); ended <- err }()
	msg := <-over
	deadline, err := subjects.GetTime(msg.Header, subjects.Deadline)
	require.NoError(t, err)
	end, _ := ctx.Deadline()
	assert.WithinRange(t, deadline, time.Now(), end.Add(-patience/4))

	// The service refuses at once, as its clock is ahead, and gets no further commands.
	require.NoError(t, msg.RespondMsg(first.endpoints.refuse("", room.Errorf(room.CodeDeadlineExceeded, "late"))))
	require.ErrorIs(t, <-ended, &room.Error{Code: room.CodeUnavailable})
	assert.Empty(t, second.peers.Having("r"))
}

// holdAnswers registers an app for every join and leave, and returns the requests that it gets and
// does not answer.
func holdAnswers(t *testing.T, s *Service) <-chan *nats.Msg {
	t.Helper()
	both := []room.Interface{room.PreRoomUserJoined, room.PreRoomUserLeave, room.PreRoomUpdatePrevent, room.PreRoomUserUpdatePrevent}
	_, err := s.registry.Register(t.Context(), room.Manifest{ID: "slow", Version: "1.0.0", Implements: both, TimeoutMs: new(10_000)}, "")
	require.NoError(t, err)
	asked := make(chan *nats.Msg, 10)
	for _, i := range both {
		_, err = s.nc.Subscribe(subjects.Pre(i, "slow"), func(msg *nats.Msg) { asked <- msg })
		require.NoError(t, err)
	}
	require.NoError(t, s.nc.Flush())
	return asked
}

// Commands of one user that arrive at two services take effect in the order of arrival while the
// apps are slow to decide the first. The second command would change nothing, and waits for the
// first.
func TestUndecided_NextCommandOfUserWaitsForOtherReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		user         string
		first, later room.EventType
		then, last   string // the requests but for the room and the user
		name, member string // of the room and of the only member
	}{
		"a leave behind a join":  {"alice", room.EventUserJoin, room.EventUserLeave, "", "", "", ""},
		"a join behind a leave":  {"owner", room.EventUserLeave, room.EventUserJoin, "", "", "", ""},
		"the name is taken back": {"owner", room.EventUpdate, room.EventUpdate, `,"patch":{"displayName":"B"}`, `,"patch":{"displayName":null}`, "", ""},
		"two names of a room":    {"owner", room.EventUpdate, room.EventUpdate, `,"patch":{"displayName":"B"}`, `,"patch":{"displayName":"C"}`, "C", ""},
		"two names of a member":  {"owner", room.EventUserUpdate, room.EventUserUpdate, `,"name":"B"`, `,"name":"C"`, "", "C"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := twoServices(t)
			createRoom(t, first)
			require.NoError(t, second.projection.CatchUp(t.Context()))
			asked := holdAnswers(t, first)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			do := func(s *Service, e room.EventType, rest string) <-chan any {
				done := make(chan any, 1)
				body := `{"roomId":"r","user":{"id":"` + c.user + `"` + rest + `}}`
				if e == room.EventUpdate {
					body = `{"roomId":"r","updatedBy":{"id":"` + c.user + `"}` + rest + `}`
				}
				go func() {
					result, err := s.do(ctx, e, &nats.Msg{Header: nats.Header{}, Data: []byte(body)})
					assert.NoError(t, err)
					done <- result
				}()
				return done
			}
			earlier := do(first, c.first, c.then)
			held := <-asked
			require.Eventually(t, func() bool { return second.peers.Deciding("r", c.user) == first.cfg.ID }, patience, tick)
			later := do(second, c.later, c.last)
			require.Eventually(t, func() bool { return first.commands.lanes.Len("r") == 2 }, patience, tick)
			assert.Empty(t, later)
			assert.NoError(t, held.Respond([]byte(`{"verdict":"allow"}`)))
			assert.NoError(t, (<-asked).Respond([]byte(`{"verdict":"allow"}`)))
			assert.True(t, (<-earlier).(room.Result).Changed)
			assert.Contains(t, string((<-later).(peers.Result).RawMessage), `"changed":true`)
			require.NoError(t, first.projection.CatchUp(t.Context()))
			members, err := first.projection.MembersAfter("r", "", 10)
			require.NoError(t, err)
			require.Len(t, members, 1)
			assert.Equal(t, c.member, members[0].Name)
			r, err := first.projection.Room("r")
			require.NoError(t, err)
			assert.Equal(t, c.name, r.DisplayName)
			require.Eventually(t, func() bool { return second.peers.Deciding("r", c.user) == "" }, patience, tick, "it has been decided")
		})
	}
}

// A replica that has stopped decides nothing any more: the command is executed here.
func TestUndecided_GoneReplicaIsNotAwaited(t *testing.T) {
	t.Parallel()
	s, _ := twoServices(t)
	createRoom(t, s)
	require.NoError(t, s.nc.Publish(subjects.Deciding, []byte(`{"replica":"gone","room":"r","user":"owner","forMs":60000}`)))
	require.Eventually(t, func() bool { return s.peers.Deciding("r", "owner") == "gone" }, patience, tick)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := s.do(ctx, room.EventUserJoin, &nats.Msg{Header: nats.Header{}, Data: []byte(`{"roomId":"r","user":{"id":"owner"}}`)})
	require.NoError(t, err)
	assert.False(t, result.(room.Result).Changed)
}
