package state_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// The input of BenchmarkStart.
const (
	startRooms  = 50_000
	startEvents = 1_000_000
)

// BenchmarkStart measures the start of a service on a stream of a million events, first without and
// then with a snapshot of all of them. Each room has a creation, then joins and leaves by turns.
func BenchmarkStart(b *testing.B) {
	server := harness.NewServer(b)
	nc := harness.Connect(b, server)
	start := func() time.Duration {
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
		defer cancel()
		began := time.Now()
		s, err := roomsvc.Start(ctx, nc, roomsvc.Config{SnapshotEvery: -1, Logger: harness.Log(b)})
		took := time.Since(began)
		require.NoError(b, err)
		require.NoError(b, s.Stop(ctx))
		return took
	}
	start() // makes the stream
	fill(b, nc)
	for b.Loop() {
		replay := start()
		restored := start()
		b.ReportMetric(replay.Seconds(), "s/replay")
		b.ReportMetric(restored.Seconds(), "s/snapshot")
		b.ReportMetric(replay.Seconds()/restored.Seconds(), "times")
		js, err := jetstream.New(nc)
		require.NoError(b, err)
		require.NoError(b, js.DeleteObjectStore(b.Context(), subjects.Snapshots))
	}
}

// fill publishes the events as services would have, but all at once.
func fill(b *testing.B, nc *nats.Conn) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2000))
	require.NoError(b, err)
	rooms := make([]room.Room, startRooms)
	last := make([]uint64, startRooms)
	for n := range startEvents {
		at := n % startRooms
		r := &rooms[at]
		e := room.Event{ID: "c" + strconv.Itoa(n), Replica: "s1", Time: time.Now(), Expected: last[at]}
		user := room.User{ID: fmt.Sprintf("user-%06d", n/startRooms), Username: "first.last", Name: "First Last"}
		switch turn := n / startRooms; {
		case turn == 0:
			id := fmt.Sprintf("room-%06d", at)
			*r = room.Room{ID: id, SlugifiedName: id, Type: room.Channel, Creator: user, CreatedAt: time.Now(), MemberCount: 1}
			e.Type, e.Data.Members = room.EventCreate, []room.User{user}
		case turn%3 == 0: // the last user to come leaves
			user.ID = fmt.Sprintf("user-%06d", turn-1)
			r.MemberCount--
			e.Type, e.Data.LeavingUser = room.EventUserLeave, &user
		default:
			r.MemberCount++
			e.Type, e.Data.JoiningUser = room.EventUserJoin, &user
		}
		r.Version++
		e.Room, e.Version, e.Data.Room = r.ID, r.Version, *r
		last[at] = uint64(n + 1)
		subject, headers, body, err := subjects.EncodePost(e, "")
		require.NoError(b, err)
		_, err = js.PublishMsgAsync(&nats.Msg{Subject: subject, Header: headers, Data: body}, jetstream.WithMsgID(e.ID),
			jetstream.WithExpectLastSequenceForSubject(e.Expected, subjects.PostsOf(e.Room)), jetstream.WithStallWait(time.Minute))
		require.NoError(b, err)
	}
	<-js.PublishAsyncComplete()
}
