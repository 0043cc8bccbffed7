package commands_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// bouncer adds an app that denies every join.
func bouncer(t *testing.T, b *harness.Bus) {
	t.Helper()
	b.Register(t, room.Manifest{ID: "bouncer", Implements: scene.OnJoin, TimeoutMs: new(room.MaxTimeoutMs)})
	b.Answer(t, room.PreRoomUserJoined, "bouncer", harness.Says(`{"verdict":"deny","reason":"closed"}`))
}

// denyJoin sends a join that will be denied.
func denyJoin(t *testing.T, b *harness.Bus, roomID, id string) {
	t.Helper()
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: scene.Alice}, roomclient.WithID(id))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUserNotAllowed})
}

// dropped returns the number of rejections that the service has dropped.
func dropped(t *testing.T, b *harness.Bus) uint64 {
	t.Helper()
	var stats struct {
		Endpoints []struct{ Data roomsvc.EndpointData }
	}
	require.NoError(t, json.Unmarshal(b.Request(t, "$SRV.STATS.rooms", "").Data, &stats))
	return stats.Endpoints[0].Data.RejectionsDropped
}

func TestRejection_DenialOnTheWire(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "early", Order: new(1), Implements: scene.OnJoin})
	b.Answer(t, room.PreRoomUserJoined, "early", harness.Says(`{"verdict":"skip","reason":"not mine"}`))
	b.Register(t, room.Manifest{ID: "shadow", Order: new(2), Implements: scene.OnJoin, Shadow: true})
	b.Answer(t, room.PreRoomUserJoined, "shadow", harness.Says(`{"verdict":"deny"}`))
	bouncer(t, b)
	trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	posted, err := b.NC.SubscribeSync("room.post.>")
	require.NoError(t, err)
	answer := scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u","attributes":{"n":9007199254740993}},"inviter":{"id":"i"}}`,
		"Nats-Msg-Id", "cmd-1", "traceparent", trace), room.CodeUserNotAllowed)

	r := b.Rejections(t, 1)[0]
	assert.Equal(t, "cmd-1 join r u denied", strings.Join([]string{r.ID, r.Command, r.Room, r.User, string(r.Kind)}, " "))
	assert.Equal(t, answer, r.Error, "as the client got it")
	require.Len(t, r.Error.Apps, 3)
	assert.Equal(t, "early skipped not mine", r.Error.Apps[0].App+" "+string(r.Error.Apps[0].Outcome)+" "+r.Error.Apps[0].Reason)
	assert.True(t, r.Error.Apps[1].Shadow)
	assert.WithinDuration(t, time.Now(), r.Time, time.Minute)
	assert.JSONEq(t, `{"roomId":"r","user":{"id":"u","attributes":{"n":9007199254740993}},"inviter":{"id":"i"}}`, string(r.Request))

	msg := b.Stored(t, subjects.Rejections)[0]
	assert.Equal(t, "room.rejected.join.r", msg.Subject)
	for key, want := range map[string]string{
		"ce-specversion":     "1.0",
		"ce-id":              "cmd-1",
		"ce-type":            "room.rejected.join",
		"ce-source":          "roombus",
		"ce-subject":         "r",
		"ce-time":            r.Time.Format(time.RFC3339Nano),
		"ce-datacontenttype": "application/json",
		"traceparent":        trace,
		"Nats-Msg-Id":        "",
	} {
		assert.Equal(t, want, msg.Header.Get(key), key)
	}
	n, _, err := posted.Pending()
	require.NoError(t, err)
	assert.Zero(t, n, "it makes no event")
	assert.Len(t, b.Events(t), 1)
}

func TestRejection_EveryCommand(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	all := []room.Interface{room.PreRoomCreatePrevent, room.PreRoomDeletePrevent, room.PreRoomUserJoined, room.PreRoomUserLeave}
	b.Register(t, room.Manifest{ID: "no", Implements: all})
	for _, i := range all {
		b.Answer(t, i, "no", harness.Says(`{"verdict":"deny"}`))
	}
	for subject, body := range map[string]string{
		"room.svc.create": `{"room":{"slugifiedName":"n","type":"channel"},"creator":{"id":"u"}}`,
		"room.svc.delete": `{"roomId":"r"}`,
		"room.svc.join":   `{"roomId":"r","user":{"id":"u"}}`,
		"room.svc.leave":  `{"roomId":"r","user":{"id":"owner"}}`,
	} {
		b.Request(t, subject, body, "Nats-Msg-Id", "new")
	}
	b.Rejections(t, 4)
	var got []string
	for _, msg := range b.Stored(t, subjects.Rejections) {
		got = append(got, msg.Subject+" "+msg.Header.Get("ce-type"))
	}
	assert.ElementsMatch(t, []string{
		"room.rejected.create.new room.rejected.create", "room.rejected.delete.r room.rejected.delete",
		"room.rejected.join.r room.rejected.join", "room.rejected.leave.r room.rejected.leave",
	}, got)
}

func TestRejection_Block(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "gone", Implements: scene.OnJoin, Essentials: scene.OnJoin})
	b.Register(t, room.Manifest{ID: "here", Implements: scene.OnJoin})
	b.Answer(t, room.PreRoomUserJoined, "here", harness.Says(`{"verdict":"allow"}`))
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`), room.CodeEssentialAppUnavailable)
	r := b.Rejections(t, 1)[0]
	assert.Equal(t, room.RejectionBlocked, r.Kind)
	assert.Equal(t, "gone", r.Error.App)
	require.Len(t, r.Error.Apps, 2)
	assert.Equal(t, room.Unavailable, r.Error.Apps[0].Outcome)
	assert.Equal(t, room.Allowed, r.Error.Apps[1].Outcome)
}

// The apps have allowed a command that then cannot be committed. The answer and the rejection have
// their verdicts.
func TestRejection_Abort(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{MaxConflicts: 2, CommitPatience: 300 * time.Millisecond})
	b.Create(t, "r")
	b.Register(t, room.Manifest{ID: "mover", Implements: scene.OnJoin})
	moved, moves := 0, true
	b.Answer(t, room.PreRoomUserJoined, "mover", func(msg *nats.Msg) {
		if moved++; moves {
			scene.MoveRoom(t, b, scene.PreRoom(msg), moved)
		}
		_ = msg.Respond([]byte(`{"verdict":"allow"}`))
	})
	conflict := scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`), room.CodeConflict)
	require.Len(t, conflict.Apps, 1, "of the last try, not of all")
	assert.Equal(t, room.Allowed, conflict.Apps[0].Outcome)

	moves = false
	require.NoError(t, b.JS.DeleteStream(t.Context(), subjects.Events))
	unavailable := scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"u"}}`), room.CodeUnavailable)
	require.Len(t, unavailable.Apps, 1)

	for n, r := range b.Rejections(t, 2) {
		assert.Equal(t, room.RejectionAborted, r.Kind)
		assert.Equal(t, []room.Error{conflict, unavailable}[n], r.Error)
	}
}

// A command whose time ran out in the room's queue has asked no app.
func TestRejection_TimeRanOutInTheQueue(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	asked := make(chan *nats.Msg, 1)
	b.Register(t, room.Manifest{ID: "slow", Implements: scene.OnJoin, TimeoutMs: new(10_000)})
	b.Answer(t, room.PreRoomUserJoined, "slow", func(msg *nats.Msg) { asked <- msg })
	done := make(chan error, 1)
	go func() {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice})
		done <- err
	}()
	held := <-asked
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"b"}}`, "Room-Timeout-Ms", "50"), room.CodeDeadlineExceeded)
	r := b.Rejections(t, 1)[0]
	assert.Equal(t, room.RejectionAborted, r.Kind)
	assert.Equal(t, room.CodeDeadlineExceeded, r.Error.Code)
	assert.Empty(t, r.Error.Apps)
	_ = held.Respond([]byte(`{"verdict":"allow"}`))
	require.NoError(t, <-done)
}

// Impossible, unchanged and retryable commands are no rejections.
func TestRejection_NotForImpossibleOrUnchangedCommands(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{MaxInFlight: 4})
	b.Create(t, "r")
	for body, code := range map[string]room.Code{
		`{"roomId":"nowhere","user":{"id":"u"}}`:         room.CodeRoomNotFound,
		`{"roomId":"r"}`:                                 room.CodeInvalidRequest,
		`{"roomId":"r","user":{"id":"u"},"unknown":"x"}`: room.CodeInvalidRequest,
	} {
		scene.Refused(t, b.Request(t, "room.svc.join", body), code)
	}
	scene.Refused(t, b.Request(t, "room.svc.create", `{"room":{"id":"r","slugifiedName":"n","type":"channel"},"creator":{"id":"u"}}`), room.CodeRoomExists)
	tooLarge := `{"room":{"slugifiedName":"n","type":"channel","description":"` + strings.Repeat("x", 64<<10) + `"},"creator":{"id":"u"}}`
	scene.Refused(t, b.Request(t, "room.svc.create", tooLarge), room.CodeTooLarge)
	tooLarge = `{"room":{"slugifiedName":"n","type":"channel"},"creator":{"id":"u","name":"` + strings.Repeat("x", 32<<10) +
		`"},"members":[{"id":"m","name":"` + strings.Repeat("x", 960<<10) + `"}]}`
	scene.Refused(t, b.Request(t, "room.svc.create", tooLarge), room.CodeTooLarge)
	r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "owner"}})
	require.NoError(t, err)
	assert.False(t, r.Changed)
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob}, roomclient.WithID("committed"))
	require.NoError(t, err)

	asked := make(chan *nats.Msg, 1)
	b.Register(t, room.Manifest{ID: "app", Implements: scene.OnJoin, TimeoutMs: new(10_000)})
	b.Answer(t, room.PreRoomUserJoined, "app", func(msg *nats.Msg) { asked <- msg })
	done := make(chan error, 1)
	go func() {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Alice}, roomclient.WithID("denied"))
		done <- err
	}()
	held := <-asked
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"c"}}`), room.CodeOverloaded) // one of four may be of one room
	_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: scene.Bob}, roomclient.WithID("committed"))
	require.NoError(t, err, "a command that is sent again is answered again")
	scene.Refused(t, b.Request(t, "room.svc.join", `{"roomId":"r","user":{"id":"c"}}`, "Nats-Msg-Id", "committed"), room.CodeInvalidRequest)
	_ = held.Respond([]byte(`{"verdict":"deny"}`))
	require.Error(t, <-done)
	all := b.Rejections(t, 1)
	require.Len(t, all, 1, "rejections are written in order, so this is the first")
	assert.Equal(t, "denied", all[0].ID)
	assert.Zero(t, dropped(t, b))
}

func TestRejection_LargeRequestIsLeftOut(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "no", Implements: []room.Interface{room.PreRoomCreatePrevent}})
	b.Answer(t, room.PreRoomCreatePrevent, "no", harness.Says(`{"verdict":"deny"}`))
	req := harness.NewRoom("r")
	req.Members = []room.User{{ID: "m", Name: strings.Repeat("x", room.MaxRejectedRequest)}}
	_, err := b.Client.Create(t.Context(), req)
	require.ErrorIs(t, err, &room.Error{Code: room.CodePrevented})
	r := b.Rejections(t, 1)[0]
	assert.Empty(t, r.Request)
	assert.Equal(t, "r", r.Room)
}

// watched is a bus whose service's log can be read.
func watched(t *testing.T) (*harness.Bus, *harness.Output) {
	t.Helper()
	log := harness.NewOutput()
	return harness.New(t, roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}), log
}

// losing checks that denials go on at once while none can be recorded: as many, at the same
// pace, counted, and mentioned once in the log.
func losing(t *testing.T, b *harness.Bus, log *harness.Output, cause string) {
	t.Helper()
	const many = 50
	was := dropped(t, b)
	start := time.Now()
	for range many {
		denyJoin(t, b, "r", "lost")
	}
	assert.Less(t, time.Since(start), many*time.Second, "each that waited for JetStream would take its AckWait of two seconds")
	require.Eventually(t, func() bool { return dropped(t, b) == was+many }, harness.ReplyTime, harness.Tick)
	assert.Equal(t, 1, strings.Count(log.String(), "rejections are being lost"), log)
	assert.Contains(t, log.String(), cause)
}

func TestRejection_MissingStreamDoesNotBlock(t *testing.T) {
	t.Parallel()
	b, log := watched(t)
	b.Create(t, "r")
	bouncer(t, b)
	denyJoin(t, b, "r", "before")
	b.Rejections(t, 1)
	stream, err := b.JS.Stream(t.Context(), subjects.Rejections)
	require.NoError(t, err)
	require.NoError(t, b.JS.DeleteStream(t.Context(), subjects.Rejections))
	losing(t, b, log, "no response from stream")

	_, err = b.JS.CreateStream(t.Context(), stream.CachedInfo().Config)
	require.NoError(t, err)
	denyJoin(t, b, "r", "after")
	assert.Equal(t, "after", b.Rejections(t, 1)[0].ID)
	log.Await(t, `rejections are recorded again.* lost=50`)
}

func TestRejection_FullStreamDoesNotBlock(t *testing.T) {
	t.Parallel()
	b, log := watched(t)
	b.Create(t, "r")
	bouncer(t, b)
	stream, err := b.JS.Stream(t.Context(), subjects.Rejections)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgs, cfg.Discard = 1, jetstream.DiscardNew
	_, err = b.JS.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	denyJoin(t, b, "r", "first")
	b.Rejections(t, 1)
	losing(t, b, log, "maximum messages exceeded")
	assert.Equal(t, "first", b.Rejections(t, 1)[0].ID)

	// A service that starts takes the stream as its operator made it.
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	require.NoError(t, stream.Purge(t.Context()))
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(1), info.Config.MaxMsgs)
}

func TestRejection_Stream(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	stream, err := b.JS.Stream(t.Context(), subjects.Rejections)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	assert.Equal(t, []string{"room.rejected.>"}, cfg.Subjects)
	assert.Equal(t, 7*24*time.Hour, cfg.MaxAge)
	assert.Equal(t, jetstream.FileStorage, cfg.Storage)
	assert.Equal(t, jetstream.DiscardOld, cfg.Discard)
	assert.Equal(t, int64(-1), cfg.MaxBytes)
	assert.Equal(t, 1, cfg.Replicas)
}

func TestRejection_ServiceStartsWithoutStream(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	_, err := b.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"room.rejected.join.>"}, NoAck: true})
	require.NoError(t, err)
	log := harness.NewOutput()
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{Logger: slog.New(slog.NewTextHandler(log, nil)), AckWait: 100 * time.Millisecond})
	assert.Regexp(t, `level=WARN msg="optional stream missing.*stream=ROOM_REJECTIONS lost=rejections.*subjects overlap`, log)
	b.Create(t, "r")
	bouncer(t, b)
	denyJoin(t, b, "r", "lost")
	require.Eventually(t, func() bool { return dropped(t, b) == 1 }, harness.ReplyTime, harness.Tick)
}

// What is still to be written when the service is told to stop is written before it ends.
func TestRejection_WrittenBeforeTheServiceStops(t *testing.T) {
	t.Parallel()
	b := harness.BusOn(t, harness.NewServer(t))
	service, err := roomsvc.Start(t.Context(), harness.Connect(t, b.Server), roomsvc.Config{})
	require.NoError(t, err)
	b.Create(t, "r")
	bouncer(t, b)
	for range 20 {
		denyJoin(t, b, "r", "c")
	}
	require.NoError(t, service.Stop(t.Context()))
	assert.Len(t, b.Stored(t, subjects.Rejections), 20, "one id may be rejected many times")
}
