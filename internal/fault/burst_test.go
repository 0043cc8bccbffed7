package fault_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// A burst of many more commands than the service admits. It asks the apps about as many as it
// admits, and refuses the others before any of those is answered. Each command is answered once,
// and a refused command succeeds when it is sent again.
func TestBurst(t *testing.T) {
	t.Parallel()
	const bound = 256
	commands := count(2000, 20_000)
	b := harness.New(t, roomsvc.Config{MaxInFlight: bound})
	m := room.Manifest{ID: "slow", Implements: []room.Interface{room.PreRoomCreatePrevent}, Essentials: []room.Interface{room.PreRoomCreatePrevent}, TimeoutMs: new(room.MaxTimeoutMs)}
	b.Register(t, m)
	held := make(chan *nats.Msg, commands)
	b.Answer(t, room.PreRoomCreatePrevent, "slow", func(msg *nats.Msg) { held <- msg })
	logUse(t, "before")

	nc := harness.Connect(t, b.Server)
	answers := make(map[string][]room.Code) // by command; "" for success
	var mu sync.Mutex
	var refused, served int
	_, err := nc.Subscribe("_INBOX.burst.*", func(msg *nats.Msg) {
		var e room.Error
		_ = json.Unmarshal(msg.Data, &e)
		mu.Lock()
		defer mu.Unlock()
		id := strings.TrimPrefix(msg.Subject, "_INBOX.burst.")
		answers[id] = append(answers[id], e.Code)
		if e.Code == "" {
			served++
		} else {
			refused++
		}
	})
	require.NoError(t, err)
	counts := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return served, refused
	}
	id := func(n int) string { return fmt.Sprintf("room%d", n) }
	for n := range commands {
		body, err := json.Marshal(harness.NewRoom(id(n)))
		require.NoError(t, err)
		require.NoError(t, nc.PublishMsg(&nats.Msg{
			Subject: subjects.Room(subjects.Create), Reply: "_INBOX.burst." + id(n), Data: body,
			Header: nats.Header{subjects.CommandID: {id(n)}, subjects.TimeoutMs: {"60000"}},
		}))
	}
	require.Eventually(t, func() bool { _, refused := counts(); return refused == commands-bound }, waiting, tick)
	logUse(t, "with the bound reached")
	done, _ := counts()
	assert.Zero(t, done, "no command is done before those over the bound are refused")
	assert.Len(t, held, bound, "the service asks about every admitted command")

	go func() {
		for range bound {
			_ = (<-held).Respond([]byte(`{"verdict":"allow"}`))
		}
	}()
	require.Eventually(t, func() bool { served, _ := counts(); return served == bound }, waiting, tick)
	b.Register(t, room.Manifest{ID: "slow", Version: "1.0.1", Implements: m.Implements}) // no app has to be asked
	var again errgroup.Group
	again.SetLimit(bound / 2)
	for n := range commands {
		again.Go(func() error {
			if _, err := b.Client.Get(t.Context(), id(n)); err == nil {
				return nil
			}
			_, err := b.Client.Create(t.Context(), harness.NewRoom(id(n)))
			return err
		})
	}
	go func() {
		for msg := range held {
			_ = msg.Respond([]byte(`{"verdict":"allow"}`))
		}
	}()
	require.NoError(t, again.Wait())
	close(held)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, answers, commands)
	for id, codes := range answers {
		require.Len(t, codes, 1, "%s is answered once", id)
		require.Contains(t, []room.Code{"", room.CodeOverloaded}, codes[0])
	}
	assert.Equal(t, commands, figures(t, b.NC).Rooms)
	logUse(t, "after")
}
