package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// An event that fails in every attempt becomes a dead letter, and the events of its room continue.
func TestDeadLetter_PoisonEvent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[string]()
	b.Work(t, room.Manifest{ID: "ledger", MaxAttempts: new(2)}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID)
		if e.JoiningUser.ID == "poison" {
			return appworker.RetryLater(time.Millisecond, errors.New("bad\nnews"))
		}
		return nil
	}})
	scene.JoinEach(t, b, "r", "poison", "alice")
	assert.Equal(t, "poison", saw.One(t))
	assert.Equal(t, "poison", saw.One(t))
	assert.Equal(t, "alice", saw.One(t))
	letters, stored := scene.DeadLetters(t, b, 1)
	event := b.Events(t)[1]
	require.Equal(t, []room.DeadLetter{{
		App: "ledger", Event: room.EventUserJoin, Room: "r", ID: event.Header.Get("ce-id"), EventSeq: 2,
		Error: "retry in 1ms: bad news", Attempts: 2,
	}}, letters)
	assert.Equal(t, "room.dead.ledger.userjoin.r", stored[0].Subject)
	assert.Equal(t, event.Data, stored[0].Data)
	for _, key := range []string{"ce-type", "ce-subject", "ce-time", "ce-roomversion", "traceparent"} {
		assert.Equal(t, event.Header.Get(key), stored[0].Header.Get(key), key)
	}
	assert.Equal(t, "1", stored[0].Header.Get("Room-Event-Nats-Expected-Last-Subject-Sequence"))
	b.RequireDrained(t, "ledger")
	saw.None(t)
}

// A discarded event, and a message that is no event, become dead letters at once.
func TestDeadLetter_DiscardedEvent(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error {
		return appworker.Discard(errors.New("cannot be"))
	}})
	scene.JoinEach(t, b, "r", "alice")
	scene.DeadLetters(t, b, 1)
	require.NoError(t, b.NC.Publish("room.post.userjoin.r", []byte("nonsense")))
	letters, stored := scene.DeadLetters(t, b, 2)
	assert.Equal(t, "discarded: cannot be", letters[0].Error)
	assert.Contains(t, letters[1].Error, "ce-type")
	assert.Equal(t, "nonsense", string(stored[1].Data))
	assert.EqualValues(t, 1, letters[1].Attempts)
}

// An event that kills workers becomes a dead letter at the next worker, which does not handle it.
func TestDeadLetter_EventThatKillsWorkers(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "ledger", Implements: []room.Interface{room.PostRoomUserJoined}, MaxAttempts: new(1)})
	b.SetAckWait(t, "ledger", time.Second)
	scene.JoinEach(t, b, "r", "poison")
	consumer, err := b.JS.Consumer(t.Context(), "ROOM_EVENTS", "ledger")
	require.NoError(t, err)
	for range 4 {
		_, err = consumer.Next() // it is never acknowledged
		require.NoError(t, err)
	}
	scene.JoinEach(t, b, "r", "alice")
	saw := scene.NewSeen[string]()
	b.Work(t, room.Manifest{ID: "ledger", MaxAttempts: new(1)}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID)
		return nil
	}})
	assert.Equal(t, "alice", saw.One(t))
	letters, _ := scene.DeadLetters(t, b, 1)
	assert.Contains(t, letters[0].Error, "died")
	assert.EqualValues(t, 5, letters[0].Attempts)
	saw.None(t)
}

// An event that reaches the consumer's max deliveries becomes a dead letter too, even if no service
// was running to receive the advisory.
func TestDeadLetter_MaxDeliveriesReached(t *testing.T) {
	t.Parallel()
	server := harness.NewServer(t)
	nc := harness.Connect(t, server)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	b := &harness.Bus{Server: server, NC: nc, JS: js}
	b.Client = roomclient.New(nc, roomclient.Config{})
	first := harness.Serve(t, harness.Connect(t, server), roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "plain", Implements: []room.Interface{room.PostRoomUserJoined}, MaxAttempts: new(1)})
	scene.JoinEach(t, b, "r", "alice", "bob")
	require.NoError(t, first.Stop(t.Context()))

	consumer, err := js.Consumer(t.Context(), "ROOM_EVENTS", "plain")
	require.NoError(t, err)
	for naks, done := 0, false; naks < 5 || !done; {
		msg, err := consumer.Next()
		require.NoError(t, err)
		if strings.Contains(string(msg.Data()), "bob") {
			require.NoError(t, msg.Ack())
			done = true
			continue
		}
		require.NoError(t, msg.Nak())
		naks++
	}
	_, err = consumer.Next(jetstream.FetchMaxWait(time.Second)) // the server reports max deliveries when it would deliver again
	require.Error(t, err)
	assert.Empty(t, b.Stored(t, "ROOM_DEAD_LETTERS"))
	harness.Serve(t, harness.Connect(t, server), roomsvc.Config{})
	letters, stored := scene.DeadLetters(t, b, 1)
	assert.Equal(t, "plain", letters[0].App)
	assert.EqualValues(t, 2, letters[0].EventSeq)
	assert.EqualValues(t, 5, letters[0].Attempts)
	assert.Equal(t, b.Events(t)[1].Data, stored[0].Data)
	require.Eventually(t, func() bool { return b.Messages(t, "ROOM_GIVEN_UP") == 0 }, harness.ReplyTime, harness.Tick)
}

// If an app that was registered again cannot process the event either, it becomes a dead letter
// again, although the first letter has been purged.
func TestDeadLetter_OfAppRegisteredAgain(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	scene.JoinEach(t, b, "r", "alice")
	m := room.Manifest{ID: "ledger", Deliver: room.DeliverAll}
	handle := appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error {
		return appworker.Discard(errors.New("cannot be"))
	}}
	stop := b.Work(t, m, handle)
	scene.DeadLetters(t, b, 1)
	require.NoError(t, stop())
	_, err := b.Client.RemoveApp(t.Context(), "ledger")
	require.NoError(t, err)
	letters, err := b.JS.Stream(t.Context(), "ROOM_DEAD_LETTERS")
	require.NoError(t, err)
	require.NoError(t, letters.Purge(t.Context()))
	b.Work(t, m, handle)
	scene.DeadLetters(t, b, 1)
}

// Only roombus should publish replays. A foreign message among them does not come back forever.
func TestDeadLetter_InvalidReplay(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(context.Context, room.UserJoined) error { return nil }})
	require.NoError(t, b.NC.Publish("room.replay.ledger.userjoin.r", []byte("nonsense")))
	_, stored := scene.DeadLetters(t, b, 1)
	assert.Equal(t, "nonsense", string(stored[0].Data))
	require.Eventually(t, func() bool { return b.Messages(t, "ROOM_REPLAYS") == 0 }, harness.ReplyTime, harness.Tick)
}

// An operator lists dead letters, replays them once the app is repaired, and purges others.
func TestCLIDead(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	dead := func(args ...string) (status int, stdout, stderr string) {
		return harness.RunProgram(t, harness.Binary(t), append([]string{"dead", "--nats", b.Server.URL()}, args...)...)
	}
	b.Create(t, "r")
	b.Create(t, "s")
	saw := scene.NewSeen[string]()
	broken := appworker.Discard(errors.New("it is broken"))
	m := room.Manifest{ID: "ledger"}
	handle := appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.JoiningUser.ID)
		return broken
	}}
	stop := b.Work(t, m, handle)
	scene.JoinEach(t, b, "r", "alice", "bob")
	scene.DeadLetters(t, b, 2)
	scene.JoinEach(t, b, "s", "carol")
	_, stored := scene.DeadLetters(t, b, 3)
	for range 3 {
		saw.One(t)
	}
	require.NoError(t, stop())

	status, stdout, _ := dead("ls", "--room", "s")
	assert.Zero(t, status)
	assert.Contains(t, stdout, "discarded: it is broken")
	assert.Equal(t, 2, strings.Count(stdout, "\n"))
	status, stdout, _ = dead("show", "1", "--json")
	assert.Zero(t, status)
	var whole struct {
		Seq     uint64
		App     string
		Headers map[string][]string
		Data    room.Data
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &whole))
	assert.Equal(t, "alice", whole.Data.JoiningUser.ID)
	assert.Equal(t, stored[0].Header.Get("ce-id"), whole.Headers["ce-id"][0])
	status, stdout, _ = dead("show", "--app", "ledger")
	assert.Zero(t, status)
	assert.Equal(t, 3, strings.Count(stdout, "header ce-id"))

	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"show", "99"}, 4, "there is no dead letter 99"},
		{[]string{"replay", "99"}, 4, "there is no dead letter 99"},
		{[]string{"purge", "99"}, 4, "there is no dead letter 99"},
		{[]string{"show", "x"}, 2, "SEQ must be"},
		{[]string{"replay", "1", "--app", "a"}, 2, "leave --app"},
		{[]string{"ls", "--event", "explode"}, 2, "--event must be"},
		{[]string{"ls", "--app", "a.b"}, 2, "--app"},
		{[]string{"ls", "1"}, 2, "choose with --app, --event or --room"},
	} {
		status, _, stderr := dead(c.args...)
		assert.Equal(t, c.status, status, c.args)
		assert.Contains(t, stderr, c.says)
	}

	broken = nil
	status, stdout, _ = dead("replay", "--room", "r")
	assert.Zero(t, status)
	assert.Equal(t, "replayed: 2 dead letters\n", stdout)
	_, stored = scene.DeadLetters(t, b, 1)
	require.Len(t, stored, 1, "a replayed letter is removed")
	b.Work(t, m, handle)
	assert.ElementsMatch(t, []string{"alice", "bob"}, []string{saw.One(t), saw.One(t)})
	require.Eventually(t, func() bool { return b.Messages(t, "ROOM_REPLAYS") == 0 }, harness.ReplyTime, harness.Tick)
	saw.None(t)

	status, stdout, _ = dead("purge", "--event", "userjoin", "--json")
	assert.Zero(t, status)
	assert.JSONEq(t, `{"purged":1}`, stdout)
	assert.Empty(t, b.Stored(t, "ROOM_DEAD_LETTERS"))

	_, err := b.Client.RemoveApp(t.Context(), "ledger")
	require.NoError(t, err)
}

// A replay that fails becomes one dead letter again, with the original event.
func TestDeadLetter_FailedReplay(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	saw := scene.NewSeen[room.EventRef]()
	b.Work(t, room.Manifest{ID: "ledger"}, appworker.Handlers{PostRoomUserJoined: func(_ context.Context, e room.UserJoined) error {
		saw.See(e.Event)
		return appworker.Discard(errors.New("never"))
	}})
	scene.JoinEach(t, b, "r", "alice")
	first := saw.One(t)
	before, _ := scene.DeadLetters(t, b, 1)
	status, stdout, stderr := harness.RunProgram(t, harness.Binary(t), "dead", "replay", "--nats", b.Server.URL())
	require.Zero(t, status, stderr)
	assert.Equal(t, "replayed: 1 dead letter\n", stdout)
	assert.Equal(t, first, saw.One(t), "the same event: id, sequence, version")
	require.Eventually(t, func() bool { return b.Messages(t, "ROOM_REPLAYS") == 0 }, harness.ReplyTime, harness.Tick)
	after, stored := scene.DeadLetters(t, b, 1)
	assert.Equal(t, before, after)
	assert.EqualValues(t, 2, stored[0].Sequence)
	saw.None(t)

	_, err := b.Client.RemoveApp(t.Context(), "ledger")
	require.NoError(t, err)
	status, _, stderr = harness.RunProgram(t, harness.Binary(t), "dead", "replay", "--nats", b.Server.URL())
	assert.Equal(t, 4, status)
	assert.Contains(t, stderr, "not registered")
	assert.Len(t, b.Stored(t, "ROOM_DEAD_LETTERS"), 1, "it stays")
}
