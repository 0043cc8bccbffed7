package state_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// churn creates and deletes rooms under the same few ids. Each id has one client, so every command
// must succeed.
type churn struct {
	b       *harness.Bus
	clients []*roomclient.Client // by id

	mu      sync.Mutex
	done    int
	members map[string][]string // of the rooms that live at the end
}

// run runs until the stream has removed its first few hundred events, or until the time is over.
func (c *churn) run(t *testing.T, services int, longest time.Duration) {
	t.Helper()
	c.members = make(map[string][]string)
	enough := make(chan struct{})
	var clients sync.WaitGroup
	for k, client := range c.clients {
		clients.Go(func() { c.live(t, client, fmt.Sprintf("churn-%d", k), enough) })
	}
	assert.Eventually(t, func() bool { return c.b.StreamState(t).FirstSeq > 600 || t.Failed() },
		longest, 20*time.Millisecond, "nothing is removed meanwhile")
	close(enough)
	clients.Wait()
	t.Logf("%d commands; the stream begins at %d", c.done, c.b.StreamState(t).FirstSeq)
	require.False(t, t.Failed())

	harness.RequireAllServe(t, c.b.NC, services)
	for range 10 * services { // each reaches one of them
		for id, want := range c.members {
			assert.EventuallyWithT(t, func(check *assert.CollectT) {
				var got []string
				for u, err := range c.b.Client.AllMembers(t.Context(), id) {
					assert.NoError(check, err)
					got = append(got, u.ID)
				}
				assert.Equal(check, want, got)
			}, harness.ReplyTime, harness.Tick)
		}
	}
}

// live creates the room, fills it and deletes it. At the end it leaves one room. Its pace leaves the
// processor to the purges.
func (c *churn) live(t *testing.T, client *roomclient.Client, id string, enough <-chan struct{}) {
	pace := time.NewTicker(30 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		<-pace.C
		guest := room.User{ID: fmt.Sprintf("guest-%d", n)}
		created, err := client.Create(t.Context(), harness.NewRoom(id))
		c.took(t, created, err, 1)
		joined, err := client.Join(t.Context(), room.JoinRequest{RoomID: id, User: guest})
		c.took(t, joined, err, 2)
		select {
		case <-enough:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.members[id] = []string{guest.ID, "owner"}
			return
		default:
		}
		deleted, err := client.Delete(t.Context(), room.DeleteRequest{RoomID: id})
		c.took(t, deleted, err, 3)
		if t.Failed() {
			return
		}
	}
}

func (c *churn) took(t *testing.T, r room.Result, err error, version uint64) {
	if assert.NoError(t, err) && assert.True(t, r.Changed) {
		assert.Equal(t, version, r.Event.Version)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
}

// Rooms are created and deleted under the same ids while two services remove their old histories.
func TestRetention_RoomsRecreatedDuringPurges(t *testing.T) {
	t.Parallel()
	b := harness.New(t, forgetful())
	harness.Serve(t, harness.Connect(t, b.Server), forgetful())
	c := churn{b: b}
	for range 8 {
		c.clients = append(c.clients, roomclient.New(harness.Connect(t, b.Server), roomclient.Config{}))
	}
	c.run(t, 2, time.Minute)

	// A service that reads the remaining events has the same state.
	harness.Serve(t, harness.Connect(t, b.Server), forgetful())
	awaitStored(t, b, 2*uint64(len(c.clients)))
	for id, want := range c.members {
		assert.Equal(t, want, b.Members(t, id))
	}
	assert.Zero(t, quarantined(t, b))
}
