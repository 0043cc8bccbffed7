package bus_test

import (
	"regexp"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

// FuzzTraceParent: for any input, the result is a valid trace context on one line.
func FuzzTraceParent(f *testing.F) {
	valid := regexp.MustCompile(`\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\z`)
	for _, seed := range []string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n", "00-4BF9-00f0-01"} {
		f.Add(seed, "id")
	}
	f.Fuzz(func(t *testing.T, came, id string) {
		made := bus.TraceParent(nats.Header{"traceparent": {came}}, id)
		require.Regexp(t, valid, made)
		if valid.MatchString(came) {
			require.Equal(t, came, made)
		}
	})
}

// FuzzIsInbox: only inboxes are accepted, and never the subject of an event.
func FuzzIsInbox(f *testing.F) {
	for _, seed := range []string{"", "_INBOX.a", "_INBOX", "_INBOX.", "_R_.a", "_INBOX.>", "room.post.create.r", "$JS.API.STREAM.DELETE.ROOM_EVENTS", "_mine.a", "_INBOXroom.a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		if bus.IsInbox(reply, "_mine") {
			require.Regexp(t, `^_(INBOX|R_\.|mine\.)`, reply)
		}
	})
}
