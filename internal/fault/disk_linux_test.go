package fault_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
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
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomclient"
)

// While the disk is full of events, commands are unavailable and queries work. When there is space,
// commands work too, on the same connections, and no acknowledged change is lost.
func TestDiskFullOfEvents(t *testing.T) {
	t.Parallel()
	disk := harness.NewDisk(t, 100)
	p, url := serveOn(t, disk)
	disk.Fill(t, 28<<20)
	client := roomclient.New(harness.ConnectTo(t, url), roomclient.Config{Timeout: 15 * time.Second})
	large := harness.NewRoom("large")
	for n := range room.MaxNewMembers {
		large.Members = append(large.Members, room.User{ID: fmt.Sprintf("user-%d", n), Name: strings.Repeat("n", 100)})
	}
	acknowledged := []string{}
	var err error
	for n := 0; err == nil; n++ {
		large.Room.ID = fmt.Sprintf("large%d", n)
		if _, err = client.Create(t.Context(), large); err == nil {
			acknowledged = append(acknowledged, large.Room.ID)
		}
	}
	require.ErrorIs(t, err, &room.Error{Code: room.CodeUnavailable})
	require.ErrorContains(t, err, "resource limits exceeded")
	assert.Contains(t, p.Stderr.String(), "disk full")
	assert.Greater(t, len(acknowledged), 5)
	r, err := client.Get(t.Context(), acknowledged[0])
	require.NoError(t, err, "queries go on")
	assert.Equal(t, room.MaxNewMembers+1, r.MemberCount)

	disk.Empty(t)
	require.Eventually(t, func() bool { _, err = client.Create(t.Context(), harness.NewRoom("after")); return err == nil }, waiting, tick)
	var stored []string
	for _, msg := range events(t, url) {
		stored = append(stored, msg.Subject[strings.LastIndex(msg.Subject, ".")+1:])
	}
	unknown := large.Room.ID // it may have been stored before it was refused
	assert.Equal(t, append(acknowledged, "after"), slices.DeleteFunc(stored, func(id string) bool { return id == unknown }))
	p.Signal(syscall.SIGTERM)
	assert.Zero(t, p.Wait())
}

// Another program fills the disk to the last byte while commands are committed, so writes fail
// inside the server. When there is space, commands work again, and no acknowledged change is lost.
func TestDiskFilledByOthers(t *testing.T) {
	t.Parallel()
	disk := harness.NewDisk(t, 100)
	p, url := serveOn(t, disk)
	client := roomclient.New(harness.ConnectTo(t, url), roomclient.Config{})
	create(t, client, "r")
	acknowledged := joining(t, url, 4)
	failed := func() bool { return strings.Contains(p.Stderr.String(), "restarting JetStream") }
	for round := 0; round < 20 && !failed() || round < 2; round++ {
		disk.Fill(t, math.MaxInt64)
		p.Stderr.Await(t, fmt.Sprintf(`(?s)(disk full.*){%d}`, round+1))
		_, err := roomclient.New(harness.ConnectTo(t, url), roomclient.Config{Timeout: time.Second}).Create(t.Context(), harness.NewRoom("full"))
		var refused *room.Error
		require.ErrorAs(t, err, &refused)
		assert.Contains(t, []room.Code{room.CodeUnavailable, room.CodeDeadlineExceeded}, refused.Code)
		_, err = client.Get(t.Context(), "r")
		require.NoError(t, err, "queries go on")
		disk.Empty(t)
		p.Stderr.Await(t, fmt.Sprintf(`(?s)(disk has free space.*){%d}`, round+1))
		require.Eventually(t, func() bool {
			_, err := client.Create(t.Context(), harness.NewRoom(fmt.Sprint("after", round)))
			return err == nil
		}, waiting, tick)
	}
	assert.True(t, failed(), "no write has failed in the server")
	requireStored(t, url, acknowledged())
}

// An external NATS server accepts no more writes after a failed write, until it is restarted. The
// room service then continues without a restart.
func TestDiskOfAnExternalServerFilled(t *testing.T) {
	t.Parallel()
	disk := harness.NewDisk(t, 40)
	config := t.TempDir() + "/nats.conf"
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "listen: %q\njetstream { store_dir: %q }\n", harness.FreeAddress(t), disk.Dir), 0o600))
	nats := harness.StartCmd(t, disk.Loop(harness.Tool(t, harness.NATSServer), "-c", config))
	url := "nats://" + nats.Stderr.Await(t, `Listening for client connections on (\S+)`)[1]
	service := harness.Start(t, harness.Binary(t), "serve", "--nats", url)
	service.Stderr.Await(t, "msg=serving")
	client := roomclient.New(harness.ConnectTo(t, url), roomclient.Config{Timeout: 3 * time.Second})
	create(t, client, "r")
	acknowledged := joining(t, url, 4)
	disk.Fill(t, math.MaxInt64)
	require.Eventually(t, func() bool { _, err := client.Create(t.Context(), harness.NewRoom("full")); return err != nil }, waiting, tick)
	disk.Empty(t)
	_, err := client.Create(t.Context(), harness.NewRoom("still"))
	require.Error(t, err, "the server recovers without a restart: this test is no longer needed")
	_, err = client.Get(t.Context(), "r")
	require.NoError(t, err, "queries go on")
	disk.EndLooped(t)
	require.Eventually(t, func() bool { _, err := client.Create(t.Context(), harness.NewRoom("after")); return err == nil }, waiting, tick)
	requireStored(t, url, acknowledged())
}

// serveOn starts "roombus serve" with an embedded NATS server on the disk.
func serveOn(t *testing.T, disk *harness.Disk) (*harness.Process, string) {
	t.Helper()
	p := harness.StartCmd(t, disk.Cmd(harness.Binary(t), "serve", "--listen", "127.0.0.1:0", "--store-dir", disk.Dir))
	url := p.Stderr.Await(t, `url=(nats://\S+)`)[1]
	p.Stderr.Await(t, `msg=serving`)
	return p, url
}

// joining lets users join room r, several at once, until stop is called. stop returns the
// acknowledged users.
func joining(t *testing.T, url string, clients int) (stop func() []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var acknowledged []string
	var running sync.WaitGroup
	for k := range clients {
		client := roomclient.New(harness.ConnectTo(t, url), roomclient.Config{Timeout: time.Second})
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				user := fmt.Sprintf("u%d-%d", k, n)
				if _, err := client.Join(ctx, room.JoinRequest{RoomID: "r", User: room.User{ID: user}}); err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, user)
					mu.Unlock()
				}
			}
		})
	}
	stop = func() []string {
		cancel()
		running.Wait()
		return acknowledged
	}
	t.Cleanup(func() { stop() })
	return stop
}

// requireStored requires the join of each user in the stream once, and a chain of all events of
// room r.
func requireStored(t *testing.T, url string, users []string) {
	t.Helper()
	require.NotEmpty(t, users)
	times := make(map[string]int)
	state := &rules.State{}
	for _, e := range decoded(t, url) {
		if e.Room != "r" {
			continue
		}
		require.NoError(t, rules.Evolve(state, e))
		if e.Data.JoiningUser != nil {
			times[e.Data.JoiningUser.ID]++
		}
	}
	for _, user := range users {
		require.Equal(t, 1, times[user], user)
	}
	t.Logf("%d joins acknowledged, %d stored", len(users), len(times))
}

func decoded(t *testing.T, url string) []room.Event {
	t.Helper()
	js, err := jetstream.New(harness.ConnectTo(t, url))
	require.NoError(t, err)
	return (&harness.Bus{JS: js}).Decoded(t)
}

func events(t *testing.T, url string) []*jetstream.RawStreamMsg {
	t.Helper()
	js, err := jetstream.New(harness.ConnectTo(t, url))
	require.NoError(t, err)
	return (&harness.Bus{JS: js}).Events(t)
}
