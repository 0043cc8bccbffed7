package appstate_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/appstate"
)

// Await asks again until the replica that lags has caught up.
func TestReplicas_AwaitReplicaThatLags(t *testing.T) {
	t.Parallel()
	nc := harness.Connect(t, harness.NewServer(t))
	var revision atomic.Uint64
	replies(t, nc, func() string { return fmt.Sprintf(`{"revision":%d}`, revision.Add(1)) })
	var log bytes.Buffer
	appstate.NewReplicas(nc, slog.New(slog.NewTextHandler(&log, nil))).Await(t.Context(), 2)
	assert.EqualValues(t, 2, revision.Load())
	assert.Empty(t, log.String())
}

// Await gives up on a replica that lags when the context ends, and logs it.
func TestReplicas_AwaitGivesUpOnReplicaThatLags(t *testing.T) {
	t.Parallel()
	nc := harness.Connect(t, harness.NewServer(t))
	ctx, cancel := context.WithCancel(t.Context())
	var asked int
	replies(t, nc, func() string {
		if asked++; asked == 2 {
			cancel()
		}
		return `{"revision":1}`
	})
	var log bytes.Buffer
	appstate.NewReplicas(nc, slog.New(slog.NewTextHandler(&log, nil))).Await(ctx, 2)
	assert.Regexp(t, `level=WARN msg="app change not confirmed by all replicas" revision=2 behind=1 error=`, log.String())
}

// A replica answers with its revision, and with stats if it is asked for them. It revives the app
// that has registered.
func TestApps_ReportOfReplica(t *testing.T) {
	t.Parallel()
	r := &replica{synced: 7}
	apps := appstate.New(appstate.Config{Registry: r, Hooks: r})

	report, err := apps.Report(t.Context(), appstate.ReplicaRequest{Revision: 8, Alive: "guard"})
	require.NoError(t, err)
	assert.EqualValues(t, 8, r.awaited)
	assert.Equal(t, "guard", r.revived)
	assert.EqualValues(t, 7, *report.Revision)
	assert.Empty(t, report.Figures)

	report, err = apps.Report(t.Context(), appstate.ReplicaRequest{App: "guard", Figures: true})
	require.NoError(t, err)
	require.Len(t, report.Figures, 1)
	assert.Equal(t, room.PreRoomUserJoined, report.Figures[0].Interface)
	assert.Equal(t, "guard", report.Figures[0].App)
}
