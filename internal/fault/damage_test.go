package fault_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// figures returns the stats of the first room service to answer.
func figures(t *testing.T, nc *nats.Conn) roomsvc.EndpointData {
	t.Helper()
	msg, err := nc.Request("$SRV.STATS.rooms", nil, 5*time.Second)
	require.NoError(t, err)
	var stats struct {
		Endpoints []struct{ Data roomsvc.EndpointData }
	}
	require.NoError(t, json.Unmarshal(msg.Data, &stats))
	return stats.Endpoints[0].Data
}

// A bit flip on the disk under the stream is always reported. After a clean stop, the server skips
// the message. After a crash, it removes everything from there to the end of the file.
func TestBitFlipsOnDisk(t *testing.T) {
	t.Parallel()
	const joins = 8 // sequences 2 to 9 of room r; sequence 1 creates it, sequence 10 creates room s
	for name, c := range map[string]struct {
		end         syscall.Signal
		flip        string // text in the damaged message
		lost        uint64
		quarantined uint64
		members     int // of room r
		frozen      bool
		says        string
	}{
		"clean end, a message in the middle":        {syscall.SIGTERM, `"joiningUser":{"id":"u3"`, 1, 4, 4, false, "damaged on disk"},
		"clean end, the last message of a room":     {syscall.SIGTERM, `"joiningUser":{"id":"u7"`, 1, 0, 8, true, "damaged on disk"},
		"clean end, the last message of the stream": {syscall.SIGTERM, `"slugifiedName":"s"`, 1, 0, 9, false, "damaged on disk"},
		"crash, a message in the middle":            {syscall.SIGKILL, `"joiningUser":{"id":"u3"`, 1, 0, 4, false, "cut damaged messages off"},
		"crash, the last message of the stream":     {syscall.SIGKILL, `"slugifiedName":"s"`, 1, 0, 9, false, "cut damaged messages off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p, url := harness.ServeProcess(t, "--store-dir", dir)
			client := roomclient.New(harness.ConnectTo(t, url), roomclient.Config{})
			create(t, client, "r")
			for n := range joins {
				join(t, client, "r", "u"+strconv.Itoa(n))
			}
			create(t, client, "s")
			p.Signal(c.end)
			p.Wait()
			flip(t, dir, c.flip)
			forgetSnapshot(t, dir)

			p, url = harness.ServeProcess(t, "--store-dir", dir)
			assert.Contains(t, p.Stderr.String(), c.says)
			nc := harness.ConnectTo(t, url)
			f := figures(t, nc)
			assert.Equal(t, c.lost, f.Lost)
			assert.Equal(t, c.quarantined, f.Quarantined)
			client = roomclient.New(nc, roomclient.Config{})
			r, err := client.Get(t.Context(), "r")
			require.NoError(t, err)
			assert.Equal(t, c.members, r.MemberCount)

			create(t, client, "other")
			join(t, client, "other", "u")
			_, err = roomclient.New(nc, roomclient.Config{Timeout: 3 * time.Second}).Join(t.Context(), room.JoinRequest{RoomID: "r", User: room.User{ID: "new"}})
			if c.frozen {
				var refused *room.Error
				require.ErrorAs(t, err, &refused, "its last event is unreadable, so no event may follow it")
				assert.Contains(t, []room.Code{room.CodeUnavailable, room.CodeDeadlineExceeded}, refused.Code)
				return
			}
			require.NoError(t, err)
		})
	}
}

// flip flips a bit of the last message with the text in the file of the stream's messages.
func flip(t *testing.T, storeDir, text string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(storeDir, "jetstream", "*", "streams", subjects.Events, "msgs", "*.blk"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	block, err := os.ReadFile(files[0])
	require.NoError(t, err)
	at := bytes.LastIndex(block, []byte(text))
	require.Positive(t, at)
	block[at+2] ^= 1
	require.NoError(t, os.WriteFile(files[0], block, 0o600))
}

func create(t *testing.T, c *roomclient.Client, id string) {
	t.Helper()
	_, err := c.Create(t.Context(), harness.NewRoom(id))
	require.NoError(t, err)
}

func join(t *testing.T, c *roomclient.Client, roomID, user string) {
	t.Helper()
	_, err := c.Join(t.Context(), room.JoinRequest{RoomID: roomID, User: room.User{ID: user}})
	require.NoError(t, err)
}

// forgetSnapshot makes the next service read the whole stream, including the damage.
func forgetSnapshot(t *testing.T, storeDir string) {
	t.Helper()
	stores, err := filepath.Glob(filepath.Join(storeDir, "jetstream", "*", "streams", subjects.SnapshotsStream))
	require.NoError(t, err)
	require.Len(t, stores, 1)
	require.NoError(t, os.RemoveAll(stores[0]))
}
