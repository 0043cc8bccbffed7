package fault_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// recovery bounds the time to recover after the last fault.
const recovery = 90 * time.Second

// verify checks every guarantee once everything is at rest.
func (s *stage) verify(t *testing.T) {
	t.Helper()
	events := s.events(t)
	rooms := requireChained(t, events)
	seen := s.clients.history.Summary()
	assert.Positive(t, seen.Changed, "at least one command changed a room")
	assert.NoError(t, s.clients.history.Settle(events))
	seen.Overtaken = s.clients.history.Summary().Overtaken
	t.Logf("%d events; commands as their clients saw them: %+v", len(events), seen)
	assert.NoError(t, s.clients.history.Check())
	s.clients.requireTrueReads(t, events)
	s.requireDelivered(t, events)
	s.requireAgreed(t, events, rooms)
	for _, v := range slices.Concat(s.services, s.workers) {
		assert.NotRegexp(t, `DATA RACE|panic:|resetting the projection|message of the stream quarantined`, v.Output.String())
	}
	s.logSnapshots(t)
}

// events reads the stream. The connection may have been lost a moment ago.
func (s *stage) events(t *testing.T) []room.Event {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := s.bus.JS.Stream(t.Context(), subjects.Events)
		return err == nil
	}, recovery, 50*time.Millisecond, "the stream does not come back")
	return s.bus.Decoded(t)
}

// requireChained applies all events. Each must follow the event before it in its room.
func requireChained(t *testing.T, events []room.Event) map[string]*rules.State {
	t.Helper()
	rooms := make(map[string]*rules.State)
	for _, e := range events {
		state, ok := rooms[e.Room]
		if !ok {
			state = &rules.State{}
			rooms[e.Room] = state
		}
		require.Equal(t, state.Seq, e.Expected, "the sequence that event %d expected", e.Seq)
		require.Equal(t, state.Latest, e.Previous, "the events before event %d", e.Seq)
		require.NoError(t, rules.Evolve(state, e), "event %d", e.Seq)
	}
	return rooms
}

// requireTrueReads checks that every answer about a room was true at some time.
func (c *clients) requireTrueReads(t *testing.T, events []room.Event) {
	t.Helper()
	type version struct {
		room    string
		created time.Time
		version uint64
	}
	rooms := make(map[version]room.Room)
	for _, e := range events {
		rooms[version{e.Room, e.Data.Room.CreatedAt, e.Version}] = e.Data.Room
	}
	for _, r := range c.reads {
		had, was := rooms[version{r.ID, r.CreatedAt, r.Version}]
		assert.True(t, was && had.MemberCount == r.MemberCount && had.DisplayName == r.DisplayName,
			"a replica showed room %s as %q with %d members in version %d", r.ID, r.DisplayName, r.MemberCount, r.Version)
	}
	t.Logf("%d reads", len(c.reads))
}

// requireAgreed checks that every replica has the rooms of the stream, and the same hash. A client
// cannot choose the replica, so requests repeat until each has answered.
func (s *stage) requireAgreed(t *testing.T, events []room.Event, want map[string]*rules.State) {
	t.Helper()
	var rows []string
	for id, state := range want {
		if state.Room != nil {
			rows = append(rows, row(*state.Room))
			require.Equal(t, id, state.Room.ID)
		}
	}
	slices.Sort(rows)
	var askers []*roomclient.Client // a server prefers the services that are connected to itself
	for n := range s.cluster.Nodes {
		askers = append(askers, roomclient.New(s.cluster.Connect(t, n), roomclient.Config{}))
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for _, asker := range askers {
			var got []string
			for r, err := range asker.AllRooms(t.Context(), room.ListRequest{}) {
				require.NoError(c, err)
				got = append(got, row(r))
			}
			slices.Sort(got)
			require.Equal(c, rows, got)
		}
		replicas := s.replicas(c)
		require.Len(c, replicas, len(s.services))
		hash := replicas[0].data.ProjectionHash
		require.NotEmpty(c, hash)
		for _, r := range replicas {
			require.Positive(c, r.asked, "replica %s has not been asked", r.id)
			require.Zero(c, r.data.Quarantined)
			require.Equal(c, len(rows), r.data.Rooms)
			require.Equal(c, events[len(events)-1].Seq, r.data.LastSeq)
			require.Equal(c, hash, r.data.ProjectionHash)
		}
	}, recovery, 50*time.Millisecond)
	for _, asker := range askers {
		for id, state := range want {
			if state.Room != nil {
				assert.Equal(t, ids(state), membersOf(t, asker, id), "members of %s", id)
			}
		}
	}
}

// withoutSnapshot matches the log of a room service that cannot start from its snapshot.
var withoutSnapshot = regexp.MustCompile(`(?m)^.*msg="snapshot unusable.*$`)

// logSnapshots logs the use of snapshots. If NATS is away while a service starts, the service reads
// the stream instead.
func (s *stage) logSnapshots(t *testing.T) {
	t.Helper()
	var wrote, read, without int
	for _, v := range s.services {
		said := v.Output.String()
		wrote += strings.Count(said, `msg="snapshot written"`)
		read += strings.Count(said, `msg="snapshot read"`)
		for _, line := range withoutSnapshot.FindAllString(said, -1) {
			without++
			t.Log(line)
		}
	}
	t.Logf("%d snapshots were written; %d starts began with one, %d could not", wrote, read, without)
}

func row(r room.Room) string {
	return fmt.Sprintf("%s %q of %s: version %d, %d members", r.ID, r.DisplayName, r.CreatedAt.Format(time.RFC3339Nano), r.Version, r.MemberCount)
}

func ids(s *rules.State) []string {
	var all []string
	for _, u := range s.MembersAfter("", room.MaxPage) {
		all = append(all, u.ID)
	}
	return all
}

func membersOf(t *testing.T, c *roomclient.Client, roomID string) []string {
	t.Helper()
	var all []string
	for u, err := range c.AllMembers(t.Context(), roomID) {
		require.NoError(t, err)
		all = append(all, u.ID)
	}
	return all
}

// replica is one room service, and how often it was asked for the list of rooms.
type replica struct {
	id    string
	asked int
	data  roomsvc.EndpointData
}

// replicas returns the room services that answer with their stats.
func (s *stage) replicas(t require.TestingT) []replica {
	subject, err := micro.ControlSubject(micro.StatsVerb, subjects.Service, "")
	require.NoError(t, err)
	sub, err := s.bus.NC.SubscribeSync(s.bus.NC.NewInbox())
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	require.NoError(t, s.bus.NC.PublishRequest(subject, sub.Subject, nil))
	var all []replica
	for range s.services {
		msg, err := sub.NextMsg(2 * time.Second)
		require.NoError(t, err, "some replicas do not report their stats")
		var stats micro.Stats
		require.NoError(t, json.Unmarshal(msg.Data, &stats))
		r := replica{id: stats.ID}
		for _, e := range stats.Endpoints {
			if e.Name == subjects.List {
				r.asked = e.NumRequests
				require.NoError(t, json.Unmarshal(e.Data, &r.data))
			}
		}
		all = append(all, r)
	}
	return all
}
