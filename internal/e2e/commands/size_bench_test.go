package commands_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// sizeRooms is how many rooms, with names of the same length, each row of BenchmarkEventSize makes.
const sizeRooms = 50

// BenchmarkEventSize measures the bytes of a stored event by its type, the size of the room's
// record and the number of apps. It also measures the share of the record, which an event without
// it would save. Stored bytes are as NATS counts them.
func BenchmarkEventSize(b *testing.B) {
	for _, c := range []struct {
		record, apps int // bytes of description and custom field, apps that allow
	}{{0, 0}, {200, 0}, {1_000, 0}, {6_000, 0}, {0, 1}, {0, 5}} {
		b.Run(fmt.Sprintf("record=%d/apps=%d", c.record, c.apps), func(b *testing.B) {
			bus := harness.New(b, roomsvc.Config{})
			for n := range c.apps {
				id := fmt.Sprintf("app-%02d", n)
				bus.Register(b, room.Manifest{ID: id, Implements: []room.Interface{
					room.PreRoomCreatePrevent, room.PreRoomUserJoined, room.PreRoomUserLeave, room.PreRoomDeletePrevent,
				}})
				for _, i := range []room.Interface{room.PreRoomCreatePrevent, room.PreRoomUserJoined, room.PreRoomUserLeave, room.PreRoomDeletePrevent} {
					bus.Answer(b, i, id, harness.Says(`{"verdict":"allow"}`))
				}
			}
			for b.Loop() {
				liveOfRooms(b, bus, c.record)
			}
			reportSizes(b, bus)
		})
	}
}

// liveOfRooms creates rooms with three members. A user joins and leaves each room, and the room is
// deleted.
func liveOfRooms(b *testing.B, bus *harness.Bus, record int) {
	user := func(n int) room.User {
		return room.User{ID: fmt.Sprintf("user-%07d", n), Username: fmt.Sprintf("first.last%d", n)}
	}
	for n := range sizeRooms {
		id := fmt.Sprintf("room-%07d", n)
		r := room.NewRoom{ID: id, SlugifiedName: id, DisplayName: "Room " + id, Type: room.Channel}
		if record > 0 {
			r.Description = strings.Repeat("d", record/2)
			r.CustomFields = map[string]any{"field": strings.Repeat("f", record-record/2)}
		}
		_, err := bus.Client.Create(b.Context(), room.CreateRequest{Room: r, Creator: user(n), Members: []room.User{user(n + 1), user(n + 2)}})
		require.NoError(b, err)
		_, err = bus.Client.Join(b.Context(), room.JoinRequest{RoomID: id, User: user(n + 3)})
		require.NoError(b, err)
		_, err = bus.Client.Leave(b.Context(), room.LeaveRequest{RoomID: id, User: user(n + 3)})
		require.NoError(b, err)
		_, err = bus.Client.Delete(b.Context(), room.DeleteRequest{RoomID: id})
		require.NoError(b, err)
	}
}

func reportSizes(b *testing.B, bus *harness.Bus) {
	all, without, count := map[room.EventType]int{}, map[room.EventType]int{}, map[room.EventType]int{}
	var stored int
	var join struct {
		subject string
		header  nats.Header
		body    []byte
	}
	for _, msg := range bus.Events(b) {
		e, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
		require.NoError(b, err)
		if e.Type == room.EventUserJoin {
			join.subject, join.header, join.body = msg.Subject, msg.Header, msg.Data
		}
		record, err := json.Marshal(e.Data.Room)
		require.NoError(b, err)
		size := storedSize(msg.Subject, msg.Header, msg.Data)
		count[e.Type]++
		stored += size
		all[e.Type] += size
		without[e.Type] += size - len(record) - len(`"room":,`)
	}
	for _, t := range room.EventTypes() {
		b.ReportMetric(float64(all[t])/float64(count[t]), "B/"+string(t))
		b.ReportMetric(float64(without[t])/float64(count[t]), "B-without/"+string(t))
	}
	stream, err := bus.JS.Stream(b.Context(), subjects.Events)
	require.NoError(b, err)
	require.EqualValues(b, stored, stream.CachedInfo().State.Bytes)
	reportWork(b, join.subject, join.header, join.body)
}

// storedSize returns the size of a message as NATS counts it.
func storedSize(subject string, h nats.Header, body []byte) int {
	head := len("NATS/1.0\r\n\r\n")
	for key, values := range h {
		for _, v := range values {
			head += len(key) + len(": ") + len(v) + len("\r\n")
		}
	}
	return 22 + len(subject) + 4 + head + len(body) + 8
}

// reportWork compares writing and reading a join without its room with writing and reading it
// whole.
func reportWork(b *testing.B, subject string, h subjects.Headers, body []byte) {
	whole, err := subjects.DecodePost(subject, h, body, 1)
	require.NoError(b, err)
	type without struct {
		JoiningUser *room.User        `json:"joiningUser"`
		Apps        []room.AppOutcome `json:"apps,omitempty"`
	}
	bare := without{whole.Data.JoiningUser, whole.Data.Apps}
	bareBody, err := json.Marshal(bare)
	require.NoError(b, err)
	encode := func(v any) func() { return func() { _, _ = json.Marshal(v) } }
	b.ReportMetric(timesOf(encode(bare))/timesOf(encode(whole.Data)), "encode-without")
	decode := func(body []byte, into func() any) func() {
		return func() { _ = room.DecodeLenient(body, into()) }
	}
	b.ReportMetric(timesOf(decode(bareBody, func() any { return new(without) }))/
		timesOf(decode(body, func() any { return new(room.Data) })), "decode-without")
}

// timesOf returns the least duration of a call over several turns, because the machine has other
// load.
func timesOf(do func()) float64 {
	const turns, calls = 30, 2_000
	least := time.Hour
	for range turns {
		began := time.Now()
		for range calls {
			do()
		}
		least = min(least, time.Since(began))
	}
	return least.Seconds() / calls
}
