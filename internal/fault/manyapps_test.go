package fault_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// A thousand apps are registered, each with a consumer, and few of them run. Running apps are
// asked. The others are recorded as unavailable and cost almost nothing.
func TestManyApps(t *testing.T) {
	t.Parallel()
	apps := count(60, 1000)
	b := harness.New(t, roomsvc.Config{})
	logUse(t, "before")
	began := time.Now()
	var registering errgroup.Group
	registering.SetLimit(8)
	id := func(n int) string { return fmt.Sprintf("app%04d", n) }
	for n := range apps {
		registering.Go(func() error {
			_, err := b.Client.RegisterApp(t.Context(), room.Manifest{
				ID: id(n), Version: "1.0.0", Description: "one of many",
				Implements: []room.Interface{room.PreRoomUserJoined, room.PreRoomCreatePrevent, room.PostRoomUserJoined},
			})
			return err
		})
	}
	require.NoError(t, registering.Wait())
	t.Logf("%d apps registered in %s", apps, time.Since(began))
	logUse(t, "with all apps")
	working := map[string]bool{id(0): true, id(apps / 2): true, id(apps - 1): true}
	for app := range working {
		b.Answer(t, room.PreRoomUserJoined, app, harness.Says(`{"verdict":"allow"}`))
		b.Answer(t, room.PreRoomCreatePrevent, app, harness.Says(`{"verdict":"allow"}`))
	}

	began = time.Now()
	b.Create(t, "r")
	const joins = 10
	for n := range joins {
		r, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: strconv.Itoa(n)}})
		require.NoError(t, err)
		require.Len(t, r.Apps, apps)
		for _, said := range r.Apps {
			want := room.Unavailable
			if working[said.App] {
				want = room.Allowed
			}
			require.Equal(t, want, said.Outcome, said)
		}
	}
	t.Logf("%s for a command", time.Since(began)/(joins+1))

	began = time.Now()
	all, err := b.Client.Apps(t.Context())
	require.NoError(t, err)
	require.Len(t, all, apps)
	for _, a := range all {
		assert.EqualValues(t, joins, *a.State.Backlog, "each has its consumer")
	}
	t.Logf("%s to list them", time.Since(began))
	logUse(t, "after")
	stream, err := b.JS.Stream(t.Context(), subjects.Events)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, stream.CachedInfo().State.Consumers, apps)
}
