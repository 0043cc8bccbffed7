package policy_test

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// misbehaviour is a faulty reaction of a worker to the join of user held to room hot.
type misbehaviour struct {
	// start starts a worker of the app. inHand waits until the worker has the pre-event, and
	// misbehave makes it misbehave.
	start   func(t *testing.T, b *harness.Bus, m room.Manifest) (inHand, misbehave func())
	timeout int // in milliseconds; 0: so long that it does not matter
	outcome room.Outcome
	reason  string
	code    room.Code // of the refusal, of an essential app
}

// onTheWire is a worker that speaks the wire protocol.
func onTheWire(misbehave func(msg *nats.Msg)) func(*testing.T, *harness.Bus, room.Manifest) (func(), func()) {
	return func(t *testing.T, b *harness.Bus, m room.Manifest) (func(), func()) {
		b.Register(t, m)
		asked := make(chan *nats.Msg, 10)
		b.Answer(t, room.PreRoomUserJoined, m.ID, func(msg *nats.Msg) { asked <- msg })
		var msg *nats.Msg
		return func() { msg = <-asked }, func() { misbehave(msg) }
	}
}

// signalled is a worker process that gets a signal.
func signalled(signal func(*harness.Process)) func(*testing.T, *harness.Bus, room.Manifest) (func(), func()) {
	return func(t *testing.T, b *harness.Bus, m room.Manifest) (func(), func()) {
		p := scene.WorkerProcess(t, b, m)
		return func() { p.Stdout.Await(t, "asked about "+scene.Held.ID) }, func() { signal(p) }
	}
}

// panicking is a worker of the SDK whose handler panics.
func panicking(v any) func(*testing.T, *harness.Bus, room.Manifest) (func(), func()) {
	return func(t *testing.T, b *harness.Bus, m room.Manifest) (func(), func()) {
		asked, now := make(chan struct{}), make(chan struct{})
		b.WorkWith(t, appworker.Config{Logger: slog.New(slog.DiscardHandler)}, m,
			appworker.Handlers{PreRoomUserJoined: func(context.Context, room.UserJoin) error {
				close(asked)
				<-now
				panic(v)
			}})
		return func() { <-asked }, func() { close(now) }
	}
}

func fails(msg *nats.Msg, description string) {
	_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {description}}})
}

// misbehaviours are the misbehaviours without a second or late answer. Large answers are as large
// as a message may be.
func misbehaviours() map[string]misbehaviour {
	const large = 1<<20 - 200
	says := func(reply string) func(*testing.T, *harness.Bus, room.Manifest) (func(), func()) {
		return onTheWire(harness.Says(reply))
	}
	return map[string]misbehaviour{
		"killed":  {start: signalled(func(p *harness.Process) { p.Signal(syscall.SIGKILL) }), timeout: 2000, outcome: room.TimedOut, reason: "no verdict within"},
		"stopped": {start: signalled((*harness.Process).Stop), timeout: 2000, outcome: room.TimedOut, reason: "no verdict within"},
		"panics":  {start: panicking("boom"), outcome: room.Failed, reason: "panic: boom"},
		"panics at length": {
			start: panicking("boom" + strings.Repeat("!", 2*large)), outcome: room.Failed, reason: "panic: boom!!!",
		},
		"large garbage":       {start: says(strings.Repeat("\xff", large)), outcome: room.Failed, reason: "not valid UTF-8"},
		"large JSON":          {start: says("[" + strings.Repeat("1,", large/2) + "1]"), outcome: room.Failed, reason: "must be a JSON object"},
		"large unknown field": {start: says(`{"` + strings.Repeat("x", large) + `":1}`), outcome: room.Failed, reason: "unknown field"},
		"large error": {
			start:   onTheWire(func(msg *nats.Msg) { fails(msg, "sorry"+strings.Repeat(".", large)) }),
			outcome: room.Failed, reason: "sorry...",
		},
		"large reason": {
			start:   says(`{"verdict":"deny","reason":"no` + strings.Repeat("o", large) + `"}`),
			outcome: room.Denied, reason: "nooo", code: room.CodeUserNotAllowed,
		},
		"names another app": {start: says(`{"verdict":"deny","app":"other"}`), outcome: room.Failed, reason: `unknown field "app"`},
	}
}

// begin starts the join of user held to room hot, waits until the worker has it, makes the worker
// misbehave, and returns the result of the join. Meanwhile it runs commands of other rooms.
func (c misbehaviour) begin(t *testing.T, essential bool) (*harness.Bus, room.Result, error) {
	t.Helper()
	b := scene.Patient(t, roomsvc.Config{})
	b.Create(t, "hot")
	m := room.Manifest{ID: "app", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(room.MaxTimeoutMs)}
	if c.timeout != 0 {
		m.TimeoutMs = new(c.timeout)
	}
	if essential {
		m.Essentials = m.Implements
	}
	inHand, misbehave := c.start(t, b, m)
	ended := scene.Joining(t, b, "hot", scene.Held)
	inHand()
	if c.timeout == 0 { // otherwise it must not be answered before
		elsewhere(t, b, "before")
		ended.NotYet(t)
		misbehave()
	} else {
		misbehave()
		elsewhere(t, b, "after")
		ended.NotYet(t)
	}
	r, err := ended.Wait(t)
	return b, r, err
}

// A misbehaving worker has one recorded outcome, the same in the result and in the event. No other
// command waits for it.
func TestMisbehaving_OptionalApp(t *testing.T) {
	t.Parallel()
	for name, c := range misbehaviours() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, r, err := c.begin(t, false)
			if c.code != "" {
				assert.Equal(t, c.code, scene.ErrorOf(t, err).Code)
				return
			}
			require.NoError(t, err)
			require.Len(t, r.Apps, 1)
			c.check(t, r.Apps[0])
			events := b.Decoded(t)
			assert.Equal(t, r.Apps, events[len(events)-1].Data.Apps)
			assert.Contains(t, b.Members(t, "hot"), scene.Held.ID)
		})
	}
}

// Without its essential app the command is refused, and the client is told which app failed and
// why.
func TestMisbehaving_EssentialAppBlocks(t *testing.T) {
	t.Parallel()
	for name, c := range misbehaviours() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, err := c.begin(t, true)
			e := scene.ErrorOf(t, err)
			want := room.CodeEssentialAppUnavailable
			if c.code != "" {
				want = c.code
			}
			assert.Equal(t, want, e.Code)
			assert.Equal(t, "app", e.App)
			assert.Contains(t, e.Message, c.reason)
			assert.LessOrEqual(t, len(e.Message), 2*room.MaxReasonBytes)
			require.Len(t, e.Apps, 1)
			c.check(t, e.Apps[0])
			assert.NotContains(t, b.Members(t, "hot"), scene.Held.ID)
		})
	}
}

func (c misbehaviour) check(t *testing.T, o room.AppOutcome) {
	t.Helper()
	assert.Equal(t, "app", o.App)
	assert.Equal(t, room.PreRoomUserJoined, o.Interface)
	assert.Equal(t, c.outcome, o.Outcome)
	assert.Contains(t, o.Reason, c.reason)
	assert.LessOrEqual(t, len(o.Reason), room.MaxReasonBytes)
}

// elsewhere runs commands of another room that the app is not asked about.
func elsewhere(t *testing.T, b *harness.Bus, roomID string) {
	t.Helper()
	r := harness.NewRoom(roomID)
	r.Members = []room.User{scene.Alice, scene.Bob, scene.Carol}
	_, err := b.Client.Create(t.Context(), r)
	require.NoError(t, err)
	for _, u := range r.Members {
		left, err := b.Client.Leave(t.Context(), room.LeaveRequest{RoomID: roomID, User: u})
		require.NoError(t, err)
		require.True(t, left.Changed)
	}
}

// The first answer counts, and the second is ignored.
func TestMisbehaving_SecondAnswerIsIgnored(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "app", Implements: []room.Interface{room.PreRoomUserJoined}})
	b.Answer(t, room.PreRoomUserJoined, "app", func(msg *nats.Msg) {
		_ = msg.Respond([]byte(`{"verdict":"deny","reason":"first"}`))
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	assert.Equal(t, "first", scene.ErrorOf(t, err).Reason)
	require.Eventually(t, func() bool { return b.EndpointData(t).Surplus == 1 }, harness.ReplyTime, harness.Tick)
	assert.Zero(t, b.EndpointData(t).LateVerdicts)
	assert.Equal(t, []string{"owner"}, b.Members(t, "r"))
}

// A late verdict changes nothing. Each is counted. The log has one line for each app and minute.
func TestMisbehaving_LateAnswerIsIgnored(t *testing.T) {
	t.Parallel()
	log := harness.NewOutput()
	b := harness.New(t, roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "slow", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(50)})
	asked, err := b.NC.QueueSubscribeSync("room.pre.userjoin.slow", "slow")
	require.NoError(t, err)
	for _, u := range []room.User{scene.Alice, scene.Bob} {
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: u})
		require.NoError(t, err)
		assert.Equal(t, room.TimedOut, r.Apps[0].Outcome)
	}
	questions, _, err := asked.Pending() // each of the two has been sent twice if there was time
	require.NoError(t, err)
	require.GreaterOrEqual(t, questions, 2)
	for range questions {
		msg, err := asked.NextMsg(harness.ReplyTime)
		require.NoError(t, err)
		_ = msg.Respond([]byte(`{"verdict":"deny","reason":"too late"}`))
	}
	require.Eventually(t, func() bool { return b.EndpointData(t).LateVerdicts == uint64(questions) }, harness.ReplyTime, harness.Tick)
	assert.Zero(t, b.EndpointData(t).Surplus)
	app, err := b.Client.App(t.Context(), "slow")
	require.NoError(t, err)
	assert.EqualValues(t, questions, app.State.Late)
	assert.EqualValues(t, 2, app.State.TimedOut)
	assert.Zero(t, app.State.Denied)
	assert.Equal(t, 1, strings.Count(log.String(), "late verdict ignored"))
	assert.Equal(t, []string{"alice", "bob", "owner"}, b.Members(t, "r"))
}

// A worker of one app cannot answer for another app, even with reply subjects that it has
// been given, now or before.
func TestMisbehaving_AnswerForAnotherAppIsIgnored(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	join := []room.Interface{room.PreRoomUserJoined}
	b.Register(t, room.Manifest{ID: "forger", Implements: join})
	b.Register(t, room.Manifest{ID: "judge", Implements: join, Essentials: join, TimeoutMs: new(room.MaxTimeoutMs)})
	forger, err := b.NC.QueueSubscribeSync("room.pre.userjoin.forger", "forger")
	require.NoError(t, err)
	judge, err := b.NC.QueueSubscribeSync("room.pre.userjoin.judge", "judge")
	require.NoError(t, err)
	allow := []byte(`{"verdict":"allow"}`)

	first := scene.Joining(t, b, "r", scene.Alice)
	var seen []string // reply subjects of answered pre-events
	for _, sub := range []*nats.Subscription{forger, judge} {
		msg, err := sub.NextMsg(harness.ReplyTime)
		require.NoError(t, err)
		seen = append(seen, msg.Reply)
		require.NoError(t, msg.Respond(allow))
	}
	_, err = first.Wait(t)
	require.NoError(t, err)

	second := scene.Joining(t, b, "r", scene.Bob)
	asked, err := forger.NextMsg(harness.ReplyTime)
	require.NoError(t, err)
	theirs, err := judge.NextMsg(harness.ReplyTime)
	require.NoError(t, err)
	forged := slices.Concat(seen, guesses(asked))
	for _, subject := range forged {
		forgery := &nats.Msg{Subject: subject, Header: nats.Header{"App": {"judge"}, "ce-id": asked.Header["ce-id"]}, Data: allow}
		require.NoError(t, b.NC.PublishMsg(forgery))
	}
	require.NoError(t, asked.Respond(allow))
	require.NoError(t, b.NC.Flush())
	require.Eventually(t, func() bool { return b.EndpointData(t).Surplus == uint64(len(forged)) }, harness.ReplyTime, harness.Tick)
	second.NotYet(t)

	require.NoError(t, theirs.Respond([]byte(`{"verdict":"deny","reason":"the judge says no"}`)))
	_, err = second.Wait(t)
	e := scene.ErrorOf(t, err)
	assert.Equal(t, "judge", e.App)
	assert.Equal(t, "the judge says no", e.Reason)
	require.Len(t, e.Apps, 2)
	assert.Equal(t, room.Allowed, e.Apps[0].Outcome)
	assert.Equal(t, room.Denied, e.Apps[1].Outcome)
}

// guesses returns reply subjects that a worker may derive from its own.
func guesses(asked *nats.Msg) []string {
	dot := strings.LastIndex(asked.Reply, ".")
	prefix, token := asked.Reply[:dot+1], asked.Reply[dot+1:]
	all := []string{prefix + "judge", prefix + token + "judge", prefix + asked.Header.Get("ce-id"), prefix + strings.ToLower(token)}
	for n := range 10 {
		all = append(all, prefix+strconv.Itoa(n), prefix+token[:len(token)-1]+strconv.Itoa(n), prefix+token+strconv.Itoa(n))
	}
	return all
}

// stuckLog is a log whose write of a late verdict blocks.
type stuckLog struct {
	slog.Handler

	stuck   chan struct{} // closed when a write blocks
	release chan struct{}
	once    sync.Once
}

func (l *stuckLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *stuckLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "late verdict ignored" {
		l.once.Do(func() { close(l.stuck) })
		<-l.release
	}
	return nil
}

// A blocked log line about a late app holds up no commit.
func TestMisbehaving_BlockedLogHoldsUpNoCommit(t *testing.T) {
	t.Parallel()
	log := &stuckLog{Handler: slog.DiscardHandler, stuck: make(chan struct{}), release: make(chan struct{})}
	b := harness.New(t, roomsvc.Config{Logger: slog.New(log), AckWait: time.Minute})
	t.Cleanup(func() { close(log.release) })
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "late", Implements: []room.Interface{room.PreRoomUserJoined}, TimeoutMs: new(50)})
	asked := make(chan *nats.Msg, 2)
	b.Answer(t, room.PreRoomUserJoined, "late", func(msg *nats.Msg) { asked <- msg })
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
	require.NoError(t, err)
	require.NoError(t, (<-asked).Respond([]byte(`{"verdict":"allow"}`)))
	<-log.stuck
	reply := b.Request(t, "room.svc.leave", `{"roomId":"r","user":{"id":"alice"}}`)
	assert.Empty(t, reply.Header.Get(micro.ErrorHeader))
}
