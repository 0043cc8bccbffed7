package roomclient_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// script is a room service with scripted replies. It records the Room-Min-Seq of every request.
func script(t *testing.T, nc *nats.Conn, replies ...*nats.Msg) (asked <-chan string) {
	t.Helper()
	all := make(chan string, len(replies))
	n := 0
	_, err := nc.Subscribe("room.svc.*", func(msg *nats.Msg) {
		all <- msg.Header.Get("Room-Min-Seq")
		assert.NoError(t, msg.RespondMsg(replies[n]))
		n++
	})
	require.NoError(t, err)
	return all
}

func atSeq(seq string, reply *nats.Msg) *nats.Msg {
	if reply.Header == nil {
		reply.Header = nats.Header{}
	}
	reply.Header.Set("Room-Seq", seq)
	return reply
}

func plain(body string) *nats.Msg { return &nats.Msg{Data: []byte(body)} }

// A client's reads are at least as new as all its earlier results.
func TestClient_ReadsRequestNewestSequence(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	c := roomclient.New(nc, roomclient.Config{})
	get := func() error { _, err := c.Get(t.Context(), "r"); return err }
	list := func() error { _, err := c.List(t.Context(), room.ListRequest{}); return err }
	members := func() error { _, err := c.Members(t.Context(), room.MembersRequest{RoomID: "r"}); return err }
	join := func() error {
		_, err := c.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "u"}})
		return err
	}
	told := func() error { c.NotOlderThan(20); c.NotOlderThan(3); return get() }
	steps := []struct {
		do    func() error
		reply *nats.Msg
		asked string
	}{
		{get, plain(`{}`), "0"}, // of an older service
		{get, atSeq("5", plain(`{}`)), "0"},
		{list, atSeq("4", plain(`{}`)), "5"},
		{members, plain(`{}`), "5"},
		{join, plain(`{"changed":true,"event":{"seq":9}}`), ""},
		{get, atSeq("7", plain(`{}`)), "9"},
		{join, atSeq("11", plain(`{"changed":false}`)), ""},
		{get, atSeq("12", refusal("room_not_found", "404", `{"code":"room_not_found"}`)), "11"},
		{join, atSeq("13", refusal("room_not_found", "404", `{"code":"room_not_found"}`)), ""},
		{get, atSeq("x", plain(`{}`)), "13"},
		{told, plain(`{}`), "20"},
	}
	var replies []*nats.Msg
	for _, s := range steps {
		replies = append(replies, s.reply)
	}
	asked := script(t, nc, replies...)
	for n, s := range steps {
		_ = s.do() // the script's errors do not matter
		assert.Equal(t, s.asked, <-asked, "step %d", n)
	}
}

// A recreated stream may end before the client's sequence.
func TestClient_ConflictOfReadResetsSequence(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	c := roomclient.New(nc, roomclient.Config{})
	c.NotOlderThan(1000)
	asked := script(t, nc,
		refusal("conflict", "409", `{"code":"conflict"}`), plain(`{"changed":false}`), // a conflict of a command does not affect reads
		atSeq("3", refusal("conflict", "409", `{"code":"conflict"}`)), atSeq("4", plain(`{"id":"r"}`)), plain(`{}`))
	_, err := c.Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "u"}})
	require.NoError(t, err)
	r, err := c.Get(t.Context(), "r")
	require.NoError(t, err)
	assert.Equal(t, "r", r.ID)
	_, err = c.Get(t.Context(), "r")
	require.NoError(t, err)
	for _, want := range []string{"", "", "1000", "3", "4"} {
		assert.Equal(t, want, <-asked)
	}
}

// Concurrent calls never lower the client's sequence.
func TestClient_SequenceIsMonotonic(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	_, err := nc.Subscribe("room.svc.get", func(msg *nats.Msg) {
		seq, err := strconv.Atoi(msg.Header.Get("Room-Min-Seq"))
		assert.NoError(t, err)
		assert.NoError(t, msg.RespondMsg(atSeq(strconv.Itoa(seq+1), plain(fmt.Sprintf(`{"version":%d}`, seq+1)))))
	})
	require.NoError(t, err)
	c := roomclient.New(nc, roomclient.Config{})
	var reading sync.WaitGroup
	for range 8 {
		reading.Go(func() {
			for last := uint64(0); last < 100; {
				r, err := c.Get(t.Context(), "r")
				if !assert.NoError(t, err) || !assert.Greater(t, r.Version, last) {
					return
				}
				last = r.Version
			}
		})
	}
	reading.Wait()
}

// Commands carry the causes of their context; reads have none.
func TestClient_CommandsCarryCauses(t *testing.T) {
	t.Parallel()
	_, nc := connect(t)
	asked := make(chan []string, 3)
	_, err := nc.Subscribe("room.svc.*", func(msg *nats.Msg) {
		asked <- msg.Header["Room-Caused-By"]
		assert.NoError(t, msg.RespondMsg(plain(`{}`)))
	})
	require.NoError(t, err)
	c := roomclient.New(nc, roomclient.Config{})
	ctx := roomclient.WithCause(t.Context(), "c1", "c2")
	_, err = c.Join(ctx, room.JoinRequest{})
	require.NoError(t, err)
	_, err = c.Get(ctx, "r")
	require.NoError(t, err)
	_, err = c.Join(t.Context(), room.JoinRequest{})
	require.NoError(t, err)
	assert.Equal(t, []string{"c1,c2"}, <-asked)
	assert.Empty(t, <-asked)
	assert.Empty(t, <-asked)
}
