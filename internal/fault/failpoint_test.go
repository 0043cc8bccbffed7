package fault_test

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// A room service that dies at a critical moment leaves a command done or not done. The same command
// with
// the same id then makes its one event, or gets the result of that event.
//
// The points are the comments "gofail: var <point> struct{}" in the code.
func TestFailpoint_CommandTakesEffectOnce(t *testing.T) {
	t.Parallel()
	for _, at := range []struct {
		point  string
		stored bool // whether the event is stored at that point
	}{
		{point: "beforePublish", stored: false},
		{point: "afterPublish", stored: true}, // and the service has not read the acknowledgement
		{point: "beforeReply", stored: true},
	} {
		t.Run(at.point, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			dying := serveFailing(t, b, at.point+`=1*off->panic("`+at.point+`")`) // the creation passes
			b.Create(t, "r")
			join := room.JoinRequest{RoomID: "r", User: room.User{ID: "u"}}

			ctx, cancel := context.WithCancel(t.Context())
			var asking sync.WaitGroup
			asking.Go(func() {
				_, err := b.Client.Join(ctx, join, roomclient.WithID("j"))
				assert.ErrorIs(t, err, context.Canceled)
			})
			require.Equal(t, 2, dying.Wait(), "the status of a program that panicked")
			cancel()
			asking.Wait()
			require.Contains(t, dying.Stderr.String(), "failpoint panic: "+at.point)
			left := b.Decoded(t)
			if at.stored {
				require.Len(t, left, 2)
				require.Equal(t, "j", left[1].ID)
			} else {
				require.Len(t, left, 1)
			}

			serveFailing(t, b, "")
			r, err := b.Client.Join(t.Context(), join, roomclient.WithID("j"))
			require.NoError(t, err)
			assert.True(t, r.Changed)
			events := b.Decoded(t)
			require.Len(t, events, 2, "the creation, and one join")
			assert.Equal(t, events[1].Ref(), *r.Event)
			assert.Equal(t, "j", r.Event.ID)
			requireChained(t, events)
			assert.Equal(t, []string{"owner", "u"}, b.Members(t, "r"))
		})
	}
}

// A room service that dies while it writes a snapshot leaves parts that are never read. The next
// service starts from the previous snapshot, or from the stream, and writes a new one, which is
// then used.
func TestFailpoint_ServiceDiesDuringSnapshot(t *testing.T) {
	t.Parallel()
	for _, of := range []struct {
		name  string
		older bool   // whether there is a snapshot
		due   string // events after which the next one is written
		began string // the log of the next service
	}{
		{name: "the first", due: "5", began: `msg="no snapshot`},
		{name: "a later one", older: true, due: "1", began: `msg="snapshot read" seq=4 `},
	} {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			fill := func() {
				for _, id := range []string{"r", "s", "t", "u"} {
					c := harness.NewRoom(id)
					c.Room.CustomFields = map[string]any{"large": strings.Repeat("-", 60_000)} // a snapshot of at least two parts
					_, err := b.Client.Create(t.Context(), c)
					require.NoError(t, err)
				}
			}
			if of.older {
				first := serveFailing(t, b, "")
				fill()
				first.Signal(syscall.SIGTERM)
				require.Zero(t, first.Wait())
			}
			dying := serveFailing(t, b, `duringSnapshot=panic("duringSnapshot")`, "--snapshot-every", of.due)
			if !of.older {
				fill()
			}
			join := room.JoinRequest{RoomID: "r", User: room.User{ID: "u"}}
			ctx, cancel := context.WithCancel(t.Context())
			var asking sync.WaitGroup
			asking.Go(func() { _, _ = b.Client.Join(ctx, join, roomclient.WithID("j")) }) // it may be answered
			require.Equal(t, 2, dying.Wait(), "the status of a program that panicked")
			cancel()
			asking.Wait()
			require.Contains(t, dying.Stderr.String(), "failpoint panic: duringSnapshot")
			current, unfinished := snapshots(t, b)
			require.Equal(t, of.older, current != "")
			require.Len(t, unfinished, 1)

			next := serveFailing(t, b, "sweepAtOnce=return", "--snapshot-every", "1")
			assert.Contains(t, next.Stderr.String(), of.began)
			r, err := b.Client.Join(t.Context(), join, roomclient.WithID("j"))
			require.NoError(t, err)
			assert.True(t, r.Changed)
			events := b.Decoded(t)
			require.Len(t, events, 5, "the creations, and one join")
			assert.Equal(t, events[4].Ref(), *r.Event)
			requireChained(t, events)
			next.Stderr.Await(t, `msg="snapshot written" seq=5 `)
			replaced, unfinished := snapshots(t, b)
			assert.NotEqual(t, current, replaced)
			assert.Empty(t, unfinished)
			next.Signal(syscall.SIGKILL)
			next.Wait()

			last := serveFailing(t, b, "")
			assert.Contains(t, last.Stderr.String(), `msg="snapshot read" seq=5 `)
			assert.Equal(t, []string{"owner", "u"}, b.Members(t, "r"))
		})
	}
}

// snapshots returns the subject of the parts of the current snapshot, empty if there is none, and
// the subjects of other parts.
func snapshots(t *testing.T, b *harness.Bus) (current string, unfinished []string) {
	t.Helper()
	store, err := b.JS.ObjectStore(t.Context(), subjects.Snapshots)
	require.NoError(t, err)
	if object, err := store.GetInfo(t.Context(), subjects.Snapshot); err == nil {
		current = subjects.SnapshotParts(object.NUID)
	} else {
		require.ErrorIs(t, err, jetstream.ErrObjectNotFound)
	}
	stream, err := b.JS.Stream(t.Context(), subjects.SnapshotsStream)
	require.NoError(t, err)
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subjects.SnapshotParts("*")))
	require.NoError(t, err)
	for parts := range info.State.Subjects {
		if parts != current {
			unfinished = append(unfinished, parts)
		}
	}
	return current, unfinished
}

// A worker dies after it has stored a dead letter and before it has acknowledged the event. Another
// worker gets the event and finds the letter stored.
func TestFailpoint_WorkerDiesBetweenDeadLetterAndAck(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	dying := workFailing(t, b, `betweenDeadLetterAndAck=panic("betweenDeadLetterAndAck")`)
	b.SetAckWait(t, picky, 2*time.Second)
	join := func(roomID, user, id string) {
		_, err := b.Client.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: room.User{ID: user}}, roomclient.WithID(id))
		require.NoError(t, err)
	}
	b.Create(t, "r")
	b.Create(t, "s")
	join("r", "poison", "dead")
	require.Equal(t, 2, dying.Wait(), "the status of a program that panicked")
	require.Contains(t, dying.Stderr.String(), "failpoint panic: betweenDeadLetterAndAck")
	require.Len(t, b.Stored(t, subjects.DeadLetters), 1)
	join("r", "u", "behind")
	join("s", "u", "beside")

	next := workFailing(t, b, "")
	next.Stdout.Await(t, `behind\n`)
	next.Stdout.Await(t, `beside\n`)
	next.Stderr.Await(t, `msg="an event is a dead letter" app=picky event=dead `)
	b.RequireDrained(t, picky)
	letters := b.Stored(t, subjects.DeadLetters)
	require.Len(t, letters, 1)
	letter, err := subjects.DecodeDead(letters[0].Subject, letters[0].Header)
	require.NoError(t, err)
	assert.Equal(t, "dead", letter.ID)
}
