package hooks

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// FuzzJudge checks that any reply of an app results in one outcome, and that a change that it
// allows is a valid room or is dropped.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{
		`{"verdict":"allow"}`, `{"verdict":"allow","modify":{"displayName":"D","customFields":{"a":null,"b":[1,{"c":null}]}}}`,
		`{"verdict":"allow","modify":{"memberCount":7}}`, `{"verdict":"allow","modify":{}}`, `{"verdict":"allow","modify":null}`,
		`{"verdict":"allow","modify":{"creator":{"id":null}}}`, `{"verdict":"allow","replace":{"id":"r1","slugifiedName":"r1","customFields":{"a":null}}}`, `{"verdict":"skip"}`, `{"verdict":"deny"}`, `{`,
	} {
		f.Add([]byte(seed), "", "")
	}
	f.Add([]byte(`{"code":"x"}`), "500", "broken\nline")
	f.Fuzz(func(t *testing.T, body []byte, code, description string) {
		d := rules.Draft{Event: room.EventCreate, Bounds: rules.Bounds{MaxBytes: 1 << 20}, Data: room.Data{
			Room:    room.Room{ID: "r1", SlugifiedName: "r1", Type: room.Channel, Creator: room.User{ID: "u"}, CustomFields: map[string]any{"a": 1}, MemberCount: 1},
			Members: []room.User{{ID: "u"}},
		}}
		msg := &nats.Msg{Data: body, Header: nats.Header{}}
		if code != "" {
			msg.Header["Nats-Service-Error-Code"] = []string{code}
		}
		if description != "" {
			msg.Header["Nats-Service-Error"] = []string{description}
		}
		a := rules.Answer{App: "a"}
		judge(&a, room.PreRoomCreateModify, &d, bus.Reply{Msg: msg})
		require.Contains(t, []room.Outcome{room.Allowed, room.Skipped, room.Failed}, a.Outcome)
		require.LessOrEqual(t, len(a.Reason), 4*room.MaxReasonBytes)

		answers := []rules.Answer{a}
		d, _, err := rules.Combine(d, room.PreRoomCreateModify, answers)
		require.NoError(t, err)
		require.NoError(t, d.Data.Room.Validate())
		body, err = json.Marshal(d.Final())
		require.NoError(t, err)
		require.NoError(t, room.DecodeLenient(body, &room.Data{}))
	})
}
