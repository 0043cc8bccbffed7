package fault_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomclient"
)

// promised is how long after the network is repaired everything works again.
const promised = 10 * time.Second

// cluster is three NATS nodes, two room services, two workers of an essential app and two clients,
// each on a separate host.
type cluster struct {
	*harness.Network
	nodes, services, workers, clients []*harness.Host
	url                               string
	joined                            [2]*joiner
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	network, hosts := harness.NewNetwork(t, 9)
	c := &cluster{Network: network, nodes: hosts[:3], services: hosts[3:5], workers: hosts[5:7], clients: hosts[7:9]}
	var urls, routes []string
	for _, h := range c.nodes {
		urls, routes = append(urls, "nats://"+h.IP+":4222"), append(routes, "nats://"+h.IP+":6222")
	}
	c.url = strings.Join(urls, ",")
	for n, h := range c.nodes {
		home := t.TempDir()
		cmd := exec.Command(harness.Tool(t, harness.NATSServer), "--config", "../../deploy/nats/node.conf")
		cmd.Env = harness.Env(home, fmt.Sprintf("NODE_NAME=n%d", n), "NODE_CLIENTS="+h.IP+":4222", "NODE_CLUSTER="+h.IP+":6222",
			"NODE_MONITOR="+h.IP+":8222", "NODE_ROUTES=["+strings.Join(routes, ", ")+"]", "NODE_STORE="+home, "NODE_SYNC=120s")
		h.Start(t, cmd)
	}
	for _, h := range c.nodes {
		require.Eventually(t, func() bool { return healthy(h) }, 2*waiting, 50*time.Millisecond, h.IP)
	}
	for _, h := range c.services {
		cmd := exec.Command(harness.Binary(t), "serve", "--stream-replicas", "3", "--nats", c.url)
		cmd.Env = harness.Env(t.TempDir())
		h.Start(t, cmd).Stderr.Await(t, "msg=serving")
	}
	for _, h := range c.workers {
		c.work(t, h)
	}
	create(t, c.client(t, c.clients[0]), "r")
	for n, h := range c.clients {
		c.joined[n] = startJoiner(t, n, c.client(t, h))
	}
	return c
}

func healthy(h *harness.Host) bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(_ context.Context, network, address string) (net.Conn, error) { return h.Dial(network, address) },
	}}
	resp, err := client.Get("http://" + h.IP + ":8222/healthz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// connect connects from the host, as the programs of roombus do.
func (c *cluster) connect(t *testing.T, h *harness.Host) *nats.Conn {
	t.Helper()
	nc, err := bus.Settings{URL: c.url}.Connect(t.Context(), nats.SetCustomDialer(h), nats.MaxReconnects(-1), nats.ReconnectWait(250*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func (c *cluster) client(t *testing.T, h *harness.Host) *roomclient.Client {
	t.Helper()
	return roomclient.New(c.connect(t, h), roomclient.Config{Timeout: 4 * time.Second, AttemptTimeout: 2 * time.Second})
}

type allowing struct{}

func (allowing) PreRoomUserJoined(context.Context, room.UserJoin) error { return nil }

func (c *cluster) work(t *testing.T, h *harness.Host) {
	t.Helper()
	(&harness.Bus{}).WorkWith(t, appworker.Config{Conn: c.connect(t, h)}, room.Manifest{
		ID: "door", Implements: []room.Interface{room.PreRoomUserJoined}, Essentials: []room.Interface{room.PreRoomUserJoined},
	}, allowing{})
}

// joiner lets one user after the other join room r.
type joiner struct {
	mu           sync.Mutex
	acknowledged []acknowledged
	moved        chan struct{} // closed and replaced at every acknowledgement
	stop         func()
}

type acknowledged struct {
	user string
	came time.Time
}

func startJoiner(t *testing.T, id int, client *roomclient.Client) *joiner {
	t.Helper()
	j := &joiner{moved: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			user := fmt.Sprintf("u%d-%d", id, n)
			if _, err := client.Join(ctx, room.JoinRequest{RoomID: "r", User: room.User{ID: user}}); err == nil {
				j.add(acknowledged{user, time.Now()})
			}
		}
	})
	j.stop = func() { cancel(); running.Wait() }
	t.Cleanup(j.stop)
	return j
}

func (j *joiner) add(a acknowledged) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acknowledged = append(j.acknowledged, a)
	close(j.moved)
	j.moved = make(chan struct{})
}

// all returns the joins acknowledged since then.
func (j *joiner) all(since time.Time) (all []acknowledged, moved chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range j.acknowledged {
		if !a.came.Before(since) {
			all = append(all, a)
		}
	}
	return all, j.moved
}

// await returns when a join has been acknowledged since then.
func (j *joiner) await(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	late := time.After(2 * waiting)
	for {
		all, moved := j.all(since)
		if len(all) > 0 {
			return all[0].came.Sub(since)
		}
		select {
		case <-moved:
		case <-late:
			t.Fatal("nothing is acknowledged any more")
		}
	}
}

// Under every network fault each room has one history, with each acknowledged change once. The side
// of a minority acknowledges nothing. After the repair all clients are served again.
func TestNetwork(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for _, f := range []struct {
		name  string
		short bool // also in the short form
		wrong func()
		mute  []int // clients that must get no acknowledgement
		heard []int // clients that are still served
	}{
		{"a minority of NATS, with a service and a client", true, func() { c.Part(c.nodes[2], c.services[1], c.workers[1], c.clients[1]) }, []int{1}, []int{0}},
		{"a service cut off", false, func() { c.Part(c.services[0]) }, nil, []int{0, 1}},
		{"a worker cut off", false, func() { c.Part(c.workers[0]) }, nil, []int{0, 1}},
		{"NATS cut off from all others", false, func() { c.Part(c.nodes...) }, []int{0, 1}, nil},
		{"packets 75±50 ms late", false, func() { c.Delay(75*time.Millisecond, 50*time.Millisecond) }, nil, []int{0, 1}},
		{"half of the packets lost", false, func() { c.Lose(0.5) }, nil, nil},
	} {
		if !f.short && count(0, 1) == 0 {
			continue
		}
		for _, j := range c.joined {
			j.await(t, time.Now())
		}
		began := time.Now()
		f.wrong()
		<-time.After(time.Duration(count(4, 20)) * time.Second)
		for _, n := range f.heard {
			t.Logf("%s: client %d is served again after %s", f.name, n, c.joined[n].await(t, began.Add(50*time.Millisecond)).Round(time.Millisecond))
		}
		for _, n := range f.mute {
			all, _ := c.joined[n].all(began.Add(50 * time.Millisecond)) // messages in flight may arrive
			assert.Empty(t, all, "%s: client %d", f.name, n)
		}
		healed := time.Now()
		c.Heal()
		for n, j := range c.joined {
			took := j.await(t, healed)
			t.Logf("%s, for %s: client %d is served %s after the end", f.name, healed.Sub(began).Round(time.Second), n, took.Round(time.Millisecond))
			if count(0, 1) == 1 { // the short form may run in parallel with all other tests
				assert.Less(t, took, promised, f.name)
			}
		}
		for _, h := range c.nodes {
			require.Eventually(t, func() bool { return healthy(h) }, 2*waiting, 50*time.Millisecond, h.IP)
		}
		t.Logf("%s: every node healthy %s after the end", f.name, time.Since(healed).Round(time.Millisecond))
	}
	c.requireOneHistory(t)
}

// requireOneHistory requires the events of the room to chain, and to contain every acknowledged
// join once.
func (c *cluster) requireOneHistory(t *testing.T) {
	t.Helper()
	for _, j := range c.joined {
		j.stop()
	}
	js, err := jetstream.New(c.connect(t, c.clients[0]))
	require.NoError(t, err)
	var acknowledged []string
	for _, j := range c.joined {
		all, _ := j.all(time.Time{})
		for _, a := range all {
			acknowledged = append(acknowledged, a.user)
		}
	}
	var times map[string]int
	require.Eventually(t, func() bool { // the copy that is read may lag
		state := &rules.State{}
		times = make(map[string]int)
		for _, e := range (&harness.Bus{JS: js}).Decoded(t) {
			require.NoError(t, rules.Evolve(state, e))
			if e.Data.JoiningUser != nil {
				times[e.Data.JoiningUser.ID]++
			}
		}
		return !slices.ContainsFunc(acknowledged, func(user string) bool { return times[user] == 0 })
	}, waiting, 500*time.Millisecond, "an acknowledged join is not stored")
	for _, user := range acknowledged {
		require.Equal(t, 1, times[user], user)
	}
	t.Logf("%d joins acknowledged, %d stored", len(acknowledged), len(times))
}
