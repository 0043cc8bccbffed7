package room_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// A typical join request and the body of its event.
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
