package health

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

func TestReadiness_Verdict(t *testing.T) {
	t.Parallel()
	now := time.Now()
	failed := func(ago time.Duration) *commitFailure { return &commitFailure{errors.New("no answer"), now.Add(-ago)} }
	for reason, f := range map[string]facts{
		"":                               {failure: failed(failureFades)},
		"the connection to NATS is down": {disconnected: true, look: look{leader: nats.ErrTimeout}},
		"the service is starting":        {starting: true, disconnected: true},
		"all is lost: restore it":        {starting: true, lost: errors.New("all is lost: restore it")},
		"the stream ROOM_EVENTS is gone": {look: look{leader: fmt.Errorf("looking: %w", jetstream.ErrStreamNotFound)}},
		"the leader of stream ROOM_EVENTS does not answer: late":     {look: look{leader: errors.New("late"), full: true}},
		"the JetStream account has no storage left":                  {look: look{full: true}, failure: failed(0)},
		"the last commit failed: no answer":                          {failure: failed(failureFades - 1), look: look{behind: 1}},
		"the apps are not known":                                     {look: look{apps: "the apps are not known", behind: 1}},
		"the service has yet to read 7 events of stream ROOM_EVENTS": {look: look{behind: 7}},
	} {
		assert.Equal(t, Readiness{Ready: reason == "", NotReady: reason}, f.verdict(now))
	}
}

func TestReadiness_StorageByNumberOfCopies(t *testing.T) {
	t.Parallel()
	tier := func(most int64, used uint64) jetstream.Tier {
		return jetstream.Tier{Store: used, Limits: jetstream.AccountLimits{MaxStore: most}}
	}
	account := &jetstream.AccountInfo{Tiers: map[string]jetstream.Tier{"R1": tier(1<<20, 1<<20), "R3": tier(1<<20, 0)}}
	assert.False(t, hasStorage(account, 1))
	assert.True(t, hasStorage(account, 3))
	assert.False(t, hasStorage(account, 5), "the account may have no streams with so many")
}

// The log has one line when the service becomes unready, and one when it is ready again.
func TestReadiness_BeginAndEndLoggedAndReported(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	told := make(chan Readiness, 10)
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	h := New(Config{
		Conn: nc, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		OnReadiness: func(r Readiness) { told <- r },
	})
	h.Started()
	h.reported = Readiness{Ready: true}
	step := func(l look) {
		h.found.Store(&l)
		h.logChange(h.Report())
	}
	step(look{})
	step(look{full: true})
	step(look{full: true})
	step(look{behind: 3})
	step(look{})
	step(look{})
	close(told)
	var all []string
	for r := range told {
		all = append(all, r.NotReady)
	}
	assert.Equal(t, []string{"the JetStream account has no storage left", "the service has yet to read 3 events of stream ROOM_EVENTS", ""}, all)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 2, log.String())
	assert.Contains(t, lines[0], `level=WARN msg="not ready: changes of rooms cannot be committed" reason="the JetStream account has no storage left"`)
	assert.Regexp(t, `level=INFO msg="ready again" outage=\d`, lines[1])
}
