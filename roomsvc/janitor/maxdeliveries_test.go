package janitor_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/roomsvc/janitor"
)

// The log has one line when dead letters cannot be written and one when they can again. It has none
// for errors while NATS is unavailable.
func TestDeadLetterer_LogsBeginAndEndOfFailure(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	advisories := "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ROOM_EVENTS."
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ROOM_GIVEN_UP", Subjects: []string{advisories + "*"}, Retention: jetstream.WorkQueuePolicy})
	require.NoError(t, err)
	for _, app := range []string{"unavailable", "failing", "failing", "removed", "last"} {
		_, err := js.Publish(t.Context(), advisories+app, []byte(`{"consumer":"`+app+`"}`))
		require.NoError(t, err)
	}

	var out bytes.Buffer
	var isUnavailable atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	janitor.New(janitor.Config{
		JetStream: js, RetainDeleted: -1, IsUnavailable: isUnavailable.Load, Logger: slog.New(slog.NewTextHandler(&out, nil)),
		IsRegistered: func(_ context.Context, app string) (bool, error) {
			isUnavailable.Store(app == "unavailable")
			switch app {
			case "unavailable":
				return false, context.DeadlineExceeded
			case "failing":
				return false, errors.New("stream is full")
			case "last":
				cancel()
			}
			return false, nil
		},
	}).Run(ctx)
	assert.Equal(t, []string{
		`WARN msg="cannot write dead letters of events after max deliveries; retrying" error="advisory {\"consumer\":\"failing\"}: stream is full"`,
		`INFO msg="dead letters of events after max deliveries written again" outage=`,
	}, regexp.MustCompile(`(?m)(?:INFO|WARN|ERROR) .*?(?:outage=|$)`).FindAllString(out.String(), -1))
}
