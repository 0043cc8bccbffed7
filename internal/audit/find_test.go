package audit_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roombus/roombus/internal/audit"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var alice = room.User{ID: "alice"}

// moody makes a bus with rooms r and s, and an app that answers every join with the verdict last
// passed to says.
func moody(t *testing.T) (b *harness.Bus, says func(verdict string)) {
	t.Helper()
	b = harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	b.Create(t, "s")
	b.Register(t, room.Manifest{ID: "moody", Implements: []room.Interface{room.PreRoomUserJoined}})
	verdicts := make(chan string, 1)
	b.Answer(t, room.PreRoomUserJoined, "moody", func(msg *nats.Msg) { _ = msg.Respond([]byte(<-verdicts)) })
	return b, func(v string) { verdicts <- v }
}

const (
	allow = `{"verdict":"allow"}`
	deny  = `{"verdict":"deny","reason":"not today"}`
)

func join(t *testing.T, b *harness.Bus, roomID, id string) error {
	t.Helper()
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: alice}, roomclient.WithID(id))
	return err
}

// kinds returns the kind of each record.
func kinds(records []audit.Record) []string {
	var all []string
	for _, r := range records {
		switch {
		case r.Event != nil:
			all = append(all, "committed "+r.Event.Room)
		case r.Rejection != nil:
			all = append(all, string(r.Rejection.Kind)+" "+r.Rejection.Room)
		default:
			all = append(all, "neither")
		}
	}
	return all
}

// A command that was denied twice and then allowed has three records, in that order. The same holds
// if the id is no UUID, and if the sender's clock is wrong.
func TestFind_EveryTryInOrder(t *testing.T) {
	t.Parallel()
	ahead := uuid.Must(uuid.NewV7())
	ahead[1] += 1 // 50 days
	for name, id := range map[string]string{
		"uuid": uuid.Must(uuid.NewV7()).String(), "custom": "cmd-1", "uuid from a clock that is ahead": ahead.String(),
		"another kind of uuid": uuid.NewString(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, says := moody(t)
			for _, verdict := range []string{deny, deny, allow} {
				says(verdict)
				err := join(t, b, "r", id)
				assert.Equal(t, verdict == deny, err != nil)
			}
			says(deny)
			require.Error(t, join(t, b, "r-not", "other"), "there is no such room")
			b.Rejections(t, 2)
			found, err := audit.Find(t.Context(), b.JS, audit.Query{ID: id})
			require.NoError(t, err)
			assert.Equal(t, []string{"denied r", "denied r", "committed r"}, kinds(found))
			assert.Equal(t, "not today", found[0].Rejection.Error.Reason)
			assert.Equal(t, room.Allowed, found[2].Event.Data.Apps[0].Outcome)
			assert.Equal(t, found[2].Msg.Sequence, found[2].Event.Seq)
			assert.Nil(t, found[0].Event)
			assert.Nil(t, found[2].Rejection)
		})
	}
}

// spied records where reading begins.
type spied struct {
	jetstream.JetStream
	from []*time.Time
}

func (s *spied) OrderedConsumer(ctx context.Context, stream string, cfg jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	s.from = append(s.from, cfg.OptStartTime)
	return s.JetStream.OrderedConsumer(ctx, stream, cfg)
}

// A UUIDv7 contains the time at which it was made. Older messages are only read if nothing is found
// since then.
func TestFind_StartsAtTimeInID(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	id := b.Create(t, "r").Event.ID
	js := &spied{JetStream: b.JS}
	_, err := audit.Find(t.Context(), js, audit.Query{ID: id})
	require.NoError(t, err)
	require.Len(t, js.from, 2)
	for _, from := range js.from {
		require.NotNil(t, from)
		assert.WithinDuration(t, time.Now().Add(-10*time.Minute), *from, time.Minute)
	}

	js.from = nil
	_, err = audit.Find(t.Context(), js, audit.Query{ID: uuid.Must(uuid.NewV7()).String()})
	require.Error(t, err)
	require.Len(t, js.from, 4)
	assert.Nil(t, js.from[2])
	assert.Nil(t, js.from[3])

	js.from = nil
	_, err = audit.Find(t.Context(), js, audit.Query{ID: id, Since: time.Now().Add(time.Hour)})
	require.Error(t, err)
	assert.Len(t, js.from, 2, "with Since nothing earlier is read")
}

func TestFind_RoomAndSinceBoundTheSearch(t *testing.T) {
	t.Parallel()
	b, says := moody(t)
	says(deny)
	require.Error(t, join(t, b, "r", "c"))
	says(deny)
	require.Error(t, join(t, b, "s", "c"))
	says(allow)
	require.NoError(t, join(t, b, "s", "c"))
	b.Rejections(t, 2)
	for query, want := range map[audit.Query][]string{
		{ID: "c"}:            {"denied r", "denied s", "committed s"},
		{ID: "c", Room: "r"}: {"denied r"},
		{ID: "c", Room: "s", Since: time.Now().Add(-time.Hour)}: {"denied s", "committed s"},
	} {
		found, err := audit.Find(t.Context(), b.JS, query)
		require.NoError(t, err)
		assert.Equal(t, want, kinds(found), query)
	}
}

func TestNoTrace(t *testing.T) {
	t.Parallel()
	b, says := moody(t)
	says(deny)
	require.Error(t, join(t, b, "r", "c"))
	b.Rejections(t, 1)
	since := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	for query, want := range map[audit.Query]string{
		{ID: "x"}:                            `no trace of command "x" among the 2 events and 1 rejections of all rooms`,
		{ID: "x", Room: "r"}:                 `no trace of command "x" among the 1 events and 1 rejections of room r`,
		{ID: "c", Room: "none"}:              `no trace of command "c" among the 0 events and 0 rejections of room none`,
		{ID: "c", Room: "r", Since: since}:   `no trace of command "c" among the 0 events and 0 rejections of room r since 2100-01-02T03:04:05Z`,
		{ID: "0190a1b2-c3d4-7e5f-8a9b-0c1d"}: `no trace of command "0190a1b2-c3d4-7e5f-8a9b-0c1d" among the 2 events and 1 rejections of all rooms`,
	} {
		_, err := audit.Find(t.Context(), b.JS, query)
		var none *audit.NotFoundError
		require.ErrorAs(t, err, &none)
		require.EqualError(t, err, want)
	}

	// A missing stream of rejections counts as empty. Without a stream of events there is no
	// service.
	require.NoError(t, b.JS.DeleteStream(t.Context(), subjects.Rejections))
	_, err := audit.Find(t.Context(), b.JS, audit.Query{ID: "c"})
	require.EqualError(t, err, `no trace of command "c" among the 2 events and 0 rejections of all rooms`)
	require.NoError(t, b.JS.DeleteStream(t.Context(), subjects.Events))
	_, err = audit.Find(t.Context(), b.JS, audit.Query{ID: "c"})
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = audit.Find(ended, b.JS, audit.Query{ID: "c"})
	require.ErrorIs(t, err, context.Canceled)
}

// A foreign message with the command's id is reported as such.
func TestFind_ForeignMessages(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	for _, subject := range []string{"room.post.userjoin.r", "room.rejected.join.r"} {
		_, err := b.JS.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: nats.Header{"ce-id": {"c"}}, Data: []byte(`{}`)})
		require.NoError(t, err)
	}
	found, err := audit.Find(t.Context(), b.JS, audit.Query{ID: "c"})
	require.NoError(t, err)
	assert.Equal(t, []string{"neither", "neither"}, kinds(found))
	require.Error(t, found[0].Err)
	require.Error(t, found[1].Err)
}
