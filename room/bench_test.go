package room_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// join is a typical join request and the body of its event.
var (
	joiner      = room.User{ID: "u-4711", Username: "ada", Name: "Ada L.", Roles: []string{"user"}}
	joinRequest = []byte(`{"roomId":"r1","user":{"id":"u-4711","username":"ada","name":"Ada L.","roles":["user"],"attributes":{"badge":9007199254740993}},"inviter":{"id":"bob"}}`)
	joinEvent   = room.Data{Room: full, JoiningUser: &joiner, Inviter: &bob, Apps: outcomes}
)

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := room.DecodeRequest(room.EventUserJoin, "c1", joinRequest); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	v := room.View{Exists: true, Room: full, Seq: 41}
	c := room.Command{ID: "c1", Time: at, Bounds: room.Bounds{MaxBytes: 900 << 10}, Bytes: len(joinRequest), Request: room.JoinRequest{RoomID: "r1", User: joiner, Inviter: &bob}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := room.Decide(v, c); err != nil {
			b.Fatal(err)
		}
	}
}

// Five apps allow a join.
func BenchmarkCombine(b *testing.B) {
	d := room.Draft{Event: room.EventUserJoin, Data: room.Data{Room: full, JoiningUser: &joiner}, Bounds: room.Bounds{MaxBytes: 900 << 10}}
	answers := make([]room.Answer, 5)
	for n := range answers {
		answers[n] = room.Answer{App: fmt.Sprintf("app%d", n), Outcome: room.Allowed, Verdict: room.Verdict{Verdict: room.Allow}, Took: time.Millisecond}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := room.Combine(d, room.PreRoomUserJoined, answers); err != nil {
			b.Fatal(err)
		}
	}
}

// A user joins a room of 1,000 members and leaves it, so that the room keeps its size.
func BenchmarkEvolve(b *testing.B) {
	var s room.State
	data := room.Data{Room: full}
	for n := range 1000 {
		data.Members = append(data.Members, room.User{ID: fmt.Sprintf("u-%06d", n*7)})
	}
	next := func(t room.EventType) {
		e := room.Event{ID: "c1", Type: t, Room: full.ID, Time: at, Seq: s.Seq + 1, Expected: s.Seq, Version: 1, Data: data}
		if s.Room != nil {
			e.Version = s.Room.Version + 1
		}
		if err := room.Evolve(&s, e); err != nil {
			b.Fatal(err)
		}
	}
	next(room.EventCreate)
	data = room.Data{Room: full, JoiningUser: &joiner, LeavingUser: &joiner}
	b.ReportAllocs()
	for b.Loop() {
		next(room.EventUserJoin)
		next(room.EventUserLeave)
	}
}

func BenchmarkEncode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(&joinEvent); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	body, err := json.Marshal(joinEvent)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		var data room.Data
		if err := room.DecodeLenient(body, &data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseVerdict(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := room.ParseVerdict(room.PreRoomUserJoined, []byte(`{"verdict":"allow","warnings":["crowded"]}`)); err != nil {
			b.Fatal(err)
		}
	}
}
