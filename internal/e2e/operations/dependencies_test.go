package operations_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// lookedAfter returns a bus whose service checks the streams all the time, and the service's log.
func lookedAfter(t *testing.T) (*harness.Bus, *harness.Output) {
	t.Helper()
	log := harness.NewOutput()
	return harness.New(t, roomsvc.Config{StreamCheck: 50 * time.Millisecond, AckWait: time.Second, Logger: slog.New(slog.NewTextHandler(log, nil))}), log
}

func requireFigures(t *testing.T, b *harness.Bus, holds func(roomsvc.EndpointData) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return holds(figuresOf(t, b.NC)) }, 3*harness.ReplyTime, harness.Tick)
}

func TestDependencies_StreamEditedByHand(t *testing.T) {
	t.Parallel()
	b, log := lookedAfter(t)
	cfg := configOf(t, b.JS, subjects.Events)
	cfg.MaxMsgs = 5
	_, err := b.JS.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	log.Await(t, `level=ERROR msg="streams are not as they must be" found="stream ROOM_EVENTS is configured differently: max_msgs is 5, must be -1" remedy="roombus streams --apply`)
	requireFigures(t, b, func(d roomsvc.EndpointData) bool { return d.Misconfigured == 1 })
	require.NoError(t, b.JS.DeleteStream(t.Context(), subjects.DeadLetters))
	log.Await(t, `level=ERROR msg="streams are not as they must be" found=".*max_msgs is 5, must be -1; stream ROOM_DEAD_LETTERS does not exist"`)
	requireFigures(t, b, func(d roomsvc.EndpointData) bool { return d.Misconfigured == 2 })
	cfg.MaxMsgs = -1
	_, err = b.JS.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	log.Await(t, `level=INFO msg="no longer: streams are not as they must be" was=".*max_msgs is 5, must be -1" still="stream ROOM_DEAD_LETTERS does not exist"`)
	harness.NewCLI(t, b.Server.URL()).OK("streams", "--apply")
	log.Await(t, `level=INFO msg="no longer: streams are not as they must be" was="stream ROOM_DEAD_LETTERS does not exist" still=""`)
	requireFigures(t, b, func(d roomsvc.EndpointData) bool { return d.Misconfigured == 0 })
	assert.Equal(t, 2, strings.Count(log.String(), "level=ERROR"), "one line for each new finding, not for each check")
}

// The history of a deleted room may be removed. The events of a live room may not.
func TestDependencies_EventsRemovedByHand(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*testing.T, *harness.Bus){
		"history of one room": func(t *testing.T, b *harness.Bus) {
			s, err := b.JS.Stream(t.Context(), subjects.Events)
			require.NoError(t, err)
			require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSubject("room.post.*.one")))
		},
		"the beginning": func(t *testing.T, b *harness.Bus) {
			s, err := b.JS.Stream(t.Context(), subjects.Events)
			require.NoError(t, err)
			require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(3)))
		},
		"the beginning, beside the history of a deleted room": func(t *testing.T, b *harness.Bus) {
			b.Create(t, "gone")
			_, err := b.Client.Delete(t.Context(), room.DeleteRequest{RoomID: "gone"})
			require.NoError(t, err)
			s, err := b.JS.Stream(t.Context(), subjects.Events)
			require.NoError(t, err)
			require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(4)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, log := lookedAfter(t)
			b.Create(t, "two")
			b.Create(t, "one")
			_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: "one", User: scene.Alice})
			require.NoError(t, err)
			requireFigures(t, b, func(d roomsvc.EndpointData) bool { return d.LastSeq == 3 && d.EventsMissing == 0 })
			require.NotContains(t, log.String(), "level=ERROR")
			remove(t, b)
			log.Await(t, `level=ERROR msg="events of rooms missing from the stream" .*stream=ROOM_EVENTS missing=[23]`)
			requireFigures(t, b, func(d roomsvc.EndpointData) bool { return d.EventsMissing >= 2 })
			assert.Equal(t, 1, strings.Count(log.String(), "events of rooms missing from the stream"))
		})
	}
}

// A deleted consumer is created again at the app's position. No event is lost, whether a worker
// registers at once or none runs.
func TestDependencies_ConsumerDeletedByHand(t *testing.T) {
	t.Parallel()
	for name, working := range map[string]bool{"worker running": true, "no worker": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, log := lookedAfter(t)
			m := room.Manifest{ID: "ledger", Implements: []room.Interface{room.PostRoomCreate}}
			seen := make(chan string, 100)
			handler := appworker.Handlers{PostRoomCreate: func(_ context.Context, e room.Created) error {
				seen <- e.Room.ID
				return nil
			}}
			stop := b.Work(t, m, handler)
			b.Create(t, "before")
			require.Equal(t, "before", <-seen)
			requireFloor(t, b, "ledger", 1)
			if !working {
				require.NoError(t, stop())
			}
			b.Create(t, "due")
			if working {
				require.Equal(t, "due", <-seen)
			}
			require.NoError(t, b.JS.DeleteConsumer(t.Context(), subjects.Events, "ledger"))
			b.Create(t, "between")
			log.Await(t, `level=ERROR msg="missing consumer of an app recreated at its last known ack floor: later events may be delivered twice" app=ledger begins=[123] `)
			b.Create(t, "after")
			if !working {
				b.Work(t, m, handler)
			}
			due := map[string]bool{"between": true, "after": true}
			if !working {
				due["due"] = true
			}
			require.Eventually(t, func() bool {
				select {
				case id := <-seen:
					delete(due, id)
				default:
				}
				return len(due) == 0
			}, 3*harness.ReplyTime, harness.Tick, "the app does not get %v", due)
			requireFigures(t, b, func(d roomsvc.EndpointData) bool { return d.ConsumersRemade == 1 })
		})
	}
}

func requireFloor(t *testing.T, b *harness.Bus, app string, floor uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		c, err := b.JS.Consumer(t.Context(), subjects.Events, app)
		return err == nil && c.CachedInfo().AckFloor.Stream == floor
	}, 3*harness.ReplyTime, harness.Tick)
}

// A service that starts after the loss logs that it does not know the position.
func TestDependencies_ConsumerDeletedBeforeStart(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Register(t, room.Manifest{ID: "ledger", Implements: []room.Interface{room.PostRoomCreate}})
	b.Create(t, "r")
	b.Create(t, "s")
	require.NoError(t, b.Service.Stop(t.Context()))
	require.NoError(t, b.JS.DeleteConsumer(t.Context(), subjects.Events, "ledger"))
	log := harness.NewOutput()
	harness.Serve(t, harness.Connect(t, b.Server), roomsvc.Config{AckWait: harness.ReplyTime, Logger: slog.New(slog.NewTextHandler(log, nil))})
	log.Await(t, `level=ERROR msg="missing consumer of an app recreated: earlier unacknowledged events are never delivered" app=ledger begins=3 lost_from=1 lost_to=2`)
	b.Create(t, "t")
	requireFloor(t, b, "ledger", 2)
}

// figuresOf returns the stats of the one service.
func figuresOf(t *testing.T, nc *nats.Conn) roomsvc.EndpointData {
	t.Helper()
	msg, err := nc.RequestWithContext(t.Context(), "$SRV.STATS.rooms", nil)
	require.NoError(t, err)
	var stats struct {
		Endpoints []struct{ Data roomsvc.EndpointData }
	}
	require.NoError(t, json.Unmarshal(msg.Data, &stats))
	require.NotEmpty(t, stats.Endpoints)
	return stats.Endpoints[0].Data
}
