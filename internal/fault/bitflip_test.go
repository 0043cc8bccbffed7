package fault_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// An event has one flipped bit that the server's checksums do not detect, because it was flipped
// before it was stored. It is quarantined, or applied with its changed content. A service that
// follows the stream and one that reads it again have the same state, and the room continues.
func TestBitFlipsOnTheWay(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, roomID(0))
	user := room.User{ID: "alice", Name: "Alice", Attributes: map[string]any{"badge": 7}}
	_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID(0), User: user, Inviter: &room.User{ID: "owner"}})
	require.NoError(t, err)
	template := b.Events(t)[1]

	bits := 8 * size(template)
	flips := rand.Perm(bits)[:min(bits, 300)]
	if os.Getenv("ROOMBUS_SOAK") != "" {
		flips = rand.Perm(bits)
	}
	const none = -1                                // the unchanged copy
	hyphen := 8*(len(template.Data)+len("ce")) + 5 // becomes a carriage return: no client library can read these headers
	flips = append([]int{none, hyphen}, flips...)
	raw := newRaw(t, b)
	var applied, changed []*jetstream.RawStreamMsg
	for n, bit := range flips {
		msg := template
		n++
		created := b.Create(t, roomID(n))
		msg = flipped(copied(msg, n, created.Event.Seq), bit)
		msg.Header["Nats-Msg-Id"] = []string{"flip" + strconv.Itoa(n)}
		msg.Header[subjects.ExpectedSeq] = []string{strconv.FormatUint(created.Event.Seq, 10)}
		msg.Header[subjects.ExpectedSeqSubject] = []string{subjects.PostsOf(roomID(n))}
		seq := raw.publish(t, msg)
		same, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID(n), User: room.User{ID: "owner"}})
		require.NoError(t, err, "a query works after bit %d", bit)
		assert.False(t, same.Changed)
		_, err = b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID(n), User: room.User{ID: "bob"}})
		require.NoError(t, err, "the room goes on behind bit %d", bit)

		members := b.Members(t, roomID(n))
		h, _ := nats.DecodeHeadersMsg([]byte(headerBlock(msg))) // nil if they cannot be read
		e, err := subjects.DecodePost(msg.Subject, h, msg.Data, seq)
		switch {
		case err != nil || len(members) == 2:
			assert.Equal(t, []string{"bob", "owner"}, members, "bit %d", bit)
		default:
			assert.ElementsMatch(t, []string{e.Data.JoiningUser.ID, "bob", "owner"}, members, "bit %d", bit)
			applied = append(applied, msg)
			if e.Data.JoiningUser.ID != "alice" {
				changed = append(changed, msg)
			}
		}
	}
	require.NotEmpty(t, applied, "the copy without a flip is applied")
	f := figures(t, b.NC)
	assert.EqualValues(t, len(flips)-len(applied), f.Quarantined)
	t.Logf("%d of %d bits flipped: %d quarantined, %d applied as what they say, %d of these with another user", len(flips)-2, bits, f.Quarantined, len(applied)-1, len(changed))

	live := everything(t, b)
	require.NoError(t, b.Service.Stop(t.Context()))
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{})
	assert.Equal(t, live, everything(t, b), "a service that reads the stream again has the same state")
	assert.Equal(t, f.Quarantined, figures(t, b.NC).Quarantined)
}

// raw speaks to the server without the client library, which cannot send every header.
type raw struct {
	conn    net.Conn
	replies *nats.Subscription
}

func newRaw(t *testing.T, b *harness.Bus) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.Server.URL(), "nats://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprint(conn, "CONNECT {\"verbose\":false,\"headers\":true}\r\n")
	require.NoError(t, err)
	replies, err := b.NC.SubscribeSync("_INBOX.raw")
	require.NoError(t, err)
	require.NoError(t, b.NC.Flush())
	return &raw{conn, replies}
}

// publish returns the sequence of the stored message.
func (r *raw) publish(t *testing.T, msg *jetstream.RawStreamMsg) uint64 {
	t.Helper()
	h := headerBlock(msg)
	_, err := fmt.Fprintf(r.conn, "HPUB %s _INBOX.raw %d %d\r\n%s%s\r\n", msg.Subject, len(h), len(h)+len(msg.Data), h, msg.Data)
	require.NoError(t, err)
	reply, err := r.replies.NextMsg(5 * time.Second)
	require.NoError(t, err)
	var ack jetstream.PubAck
	require.NoError(t, json.Unmarshal(reply.Data, &ack))
	require.NotZero(t, ack.Sequence, string(reply.Data))
	return ack.Sequence
}

func headerBlock(msg *jetstream.RawStreamMsg) string {
	var h strings.Builder
	h.WriteString("NATS/1.0\r\n")
	for key, values := range msg.Header {
		h.WriteString(key + ": " + values[0] + "\r\n")
	}
	h.WriteString("\r\n")
	return h.String()
}

func roomID(n int) string { return fmt.Sprintf("room%06d", n) }

// copied returns the event as an event of another room.
func copied(msg *jetstream.RawStreamMsg, n int, last uint64) *jetstream.RawStreamMsg {
	was, is := roomID(0), roomID(n)
	h := make(nats.Header)
	for key, values := range msg.Header {
		h[key] = []string{strings.ReplaceAll(values[0], was, is)}
	}
	h[subjects.RoomPrevious] = []string{fmt.Sprintf("create=%d", last)}
	return &jetstream.RawStreamMsg{
		Subject: strings.ReplaceAll(msg.Subject, was, is), Header: h, Data: bytes.ReplaceAll(msg.Data, []byte(was), []byte(is)),
	}
}

// size returns how many bytes can be flipped: the body and the keys and values of its headers,
// except those of the guard, because the server would refuse the message.
func size(msg *jetstream.RawStreamMsg) int {
	total := len(msg.Data)
	for _, key := range headerKeys(msg) {
		total += len(key) + len(msg.Header[key][0])
	}
	return total
}

func headerKeys(msg *jetstream.RawStreamMsg) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(msg.Header)), func(key string) bool { return strings.HasPrefix(key, "Nats-") })
}

// flipped returns the message with one bit flipped, or unchanged for -1.
func flipped(msg *jetstream.RawStreamMsg, bit int) *jetstream.RawStreamMsg {
	at := bit / 8
	flip := func(s string) string {
		b := []byte(s)
		b[at] ^= 1 << (bit % 8)
		return string(b)
	}
	if bit < 0 {
		return msg
	}
	if at < len(msg.Data) {
		msg.Data = []byte(flip(string(msg.Data)))
		return msg
	}
	at -= len(msg.Data)
	for _, key := range headerKeys(msg) {
		value := msg.Header[key][0]
		switch {
		case at < len(key):
			delete(msg.Header, key)
			msg.Header[flip(key)] = []string{value}
			return msg
		case at < len(key)+len(value):
			at -= len(key)
			msg.Header[key] = []string{flip(value)}
			return msg
		}
		at -= len(key) + len(value)
	}
	return msg
}

// everything returns all rooms and members, as JSON.
func everything(t *testing.T, b *harness.Bus) string {
	t.Helper()
	var all []any
	for r, err := range b.Client.AllRooms(t.Context(), room.ListRequest{}) {
		require.NoError(t, err)
		all = append(all, r)
		for u, err := range b.Client.AllMembers(t.Context(), r.ID) {
			require.NoError(t, err)
			all = append(all, u)
		}
	}
	data, err := json.Marshal(all)
	require.NoError(t, err)
	return string(data)
}
