package rules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

var joiner = room.User{ID: "u-4711", Username: "ada", Name: "Ada L.", Roles: []string{"user"}}

func BenchmarkDecide(b *testing.B) {
	v := rules.View{Exists: true, Room: full, Seq: 41}
	c := rules.Command{ID: "c1", Time: at, Bounds: rules.Bounds{MaxBytes: 900 << 10}, Bytes: 150, Request: room.JoinRequest{RoomID: "r1", User: joiner, Inviter: &bob}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rules.Decide(v, c); err != nil {
			b.Fatal(err)
		}
	}
}

// Five apps allow a join.
func BenchmarkCombine(b *testing.B) {
	d := rules.Draft{Event: room.EventUserJoin, Data: room.Data{Room: full, JoiningUser: &joiner}, Bounds: rules.Bounds{MaxBytes: 900 << 10}}
	answers := make([]rules.Answer, 5)
	for n := range answers {
		answers[n] = rules.Answer{App: fmt.Sprintf("app%d", n), Outcome: room.Allowed, Verdict: room.Verdict{Verdict: room.Allow}, Took: time.Millisecond}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := rules.Combine(d, room.PreRoomUserJoined, answers); err != nil {
			b.Fatal(err)
		}
	}
}

// A user joins a room of 1,000 members and leaves it, so that the room keeps its size.
func BenchmarkEvolve(b *testing.B) {
	var s rules.State
	data := room.Data{Room: full}
	for n := range 1000 {
		data.Members = append(data.Members, room.User{ID: fmt.Sprintf("u-%06d", n*7)})
	}
	next := func(t room.EventType) {
		e := room.Event{ID: "c1", Type: t, Room: full.ID, Time: at, Seq: s.Seq + 1, Expected: s.Seq, Version: 1, Data: data}
		if s.Room != nil {
			e.Version = s.Room.Version + 1
		}
		if err := rules.Evolve(&s, e); err != nil {
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
