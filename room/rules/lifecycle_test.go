package rules_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// model is a simple model of a room: it exists or not, and it has a name and members with names.
type model struct {
	lives   bool
	name    string
	version uint64
	members map[string]string // names by id
}

// For any sequence of commands, Decide and Evolve agree with the model.
func TestDecideEvolve_FollowModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var state rules.State
		m := model{}
		seq := uint64(0)
		latest := make(map[room.EventType]uint64)
		users := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		for n := range rapid.IntRange(1, 60).Draw(t, "commands") {
			user := room.User{ID: users.Draw(t, "user")}
			name := rapid.SampledFrom([]any{nil, "A", "B"}).Draw(t, "name")
			request := rapid.SampledFrom([]room.Request{
				room.CreateRequest{Room: room.NewRoom{ID: "r", SlugifiedName: "r", Type: room.Channel}, Creator: user, Members: []room.User{{ID: "a"}, user}},
				room.DeleteRequest{RoomID: "r"},
				room.JoinRequest{RoomID: "r", User: user},
				room.LeaveRequest{RoomID: "r", User: user},
				room.UpdateRequest{RoomID: "r", Patch: room.Patch{"displayName": name}},
				room.UpdateRequest{RoomID: "r", Patch: room.Patch{"displayName": name}, IfVersion: 2},
				room.UpdateMemberRequest{RoomID: "r", User: room.Patch{"id": user.ID, "name": name}},
			}).Draw(t, "request")
			c := rules.Command{ID: "c" + strconv.Itoa(n), Time: at, Request: request}

			view := state.View(request)
			draft, err := rules.Decide(view, c)
			changes, code := m.apply(request)
			require.Equal(t, changes, draft != nil)
			if code != "" {
				require.ErrorIs(t, err, &room.Error{Code: code})
			} else {
				require.NoError(t, err)
			}
			if draft != nil {
				seq += rapid.Uint64Range(1, 5).Draw(t, "other rooms' events")
				data := draft.Final()
				e := room.Event{ID: c.ID, Type: draft.Event, Room: "r", Time: at, Seq: seq, Expected: view.Seq, Version: data.Room.Version, Data: data}
				require.NoError(t, rules.Evolve(&state, e))
				require.Error(t, rules.Evolve(&state, e), "an event applies once")
				latest[e.Type] = seq
			}
			require.Equal(t, m.lives, state.Room != nil)
			require.Equal(t, slices.Sorted(maps.Keys(m.members)), ids(state.MembersAfter("", 100)))
			for _, u := range state.MembersAfter("", 100) {
				require.Equal(t, m.members[u.ID], u.Name)
			}
			if m.lives {
				require.Equal(t, len(m.members), state.Room.MemberCount)
				require.Equal(t, m.name, state.Room.DisplayName)
				require.Equal(t, m.version, state.Room.Version)
			}
			require.Equal(t, seq, state.Seq)
			for _, e := range room.EventTypes() {
				require.Equal(t, latest[e], state.View(request).Latest.Of(e), e)
			}
		}
	})
}

func (m *model) apply(r room.Request) (changes bool, code room.Code) {
	if c, ok := r.(room.CreateRequest); ok {
		if m.lives {
			return false, room.CodeRoomExists
		}
		*m = model{lives: true, version: 1, members: map[string]string{c.Creator.ID: ""}}
		for _, u := range c.Members {
			m.members[u.ID] = ""
		}
		return true, ""
	}
	if !m.lives {
		return false, room.CodeRoomNotFound
	}
	defer func() {
		if changes {
			m.version++
		}
	}()
	switch r := r.(type) {
	case room.UpdateRequest:
		if r.IfVersion != 0 && r.IfVersion != m.version {
			return false, room.CodeConflict
		}
		name, _ := r.Patch["displayName"].(string)
		changes = m.name != name
		m.name = name
	case room.UpdateMemberRequest:
		was, there := m.members[r.Subject().ID]
		if !there {
			return false, room.CodeMemberNotFound
		}
		name, _ := r.User["name"].(string)
		changes = was != name
		m.members[r.Subject().ID] = name
	case room.DeleteRequest:
		*m = model{}
		return true, ""
	case room.JoinRequest:
		if _, changes = m.members[r.User.ID]; !changes {
			m.members[r.User.ID] = ""
		}
		changes = !changes
	case room.LeaveRequest:
		_, changes = m.members[r.User.ID]
		delete(m.members, r.User.ID)
	}
	return changes, ""
}

func ids(users []room.User) []string {
	var all []string
	for _, u := range users {
		all = append(all, u.ID)
	}
	return all
}

func TestState_MembersAfterPagesInOrder(t *testing.T) {
	t.Parallel()
	var s rules.State
	members := []room.User{{ID: "c"}, {ID: "a"}, {ID: "e"}, {ID: "b"}}
	require.NoError(t, rules.Evolve(&s, room.Event{Type: room.EventCreate, Room: "r", Seq: 1, Version: 1, Data: room.Data{Room: room.Room{ID: "r"}, Members: members}}))
	assert.Equal(t, []string{"a", "b"}, ids(s.MembersAfter("", 2)))
	assert.Equal(t, []string{"c", "e"}, ids(s.MembersAfter("b", 2)))
	assert.Equal(t, []string{"e"}, ids(s.MembersAfter("d", 9)), "a cursor may have left")
	assert.Empty(t, s.MembersAfter("e", 9))
}

func TestEvolve_Refuses(t *testing.T) {
	t.Parallel()
	made := func() *rules.State {
		var s rules.State
		require.NoError(t, rules.Evolve(&s, room.Event{Type: room.EventCreate, Room: "r", Seq: 5, Version: 1, Data: room.Data{Room: room.Room{ID: "r"}, Members: []room.User{{ID: "a"}}}}))
		return &s
	}
	join := func(user string) room.Data {
		return room.Data{Room: room.Room{ID: "r"}, JoiningUser: &room.User{ID: user}}
	}
	for says, e := range map[string]room.Event{
		"does not come after":          {Type: room.EventUserJoin, Room: "r", Seq: 5, Expected: 5, Version: 2, Data: join("b")},
		"broken chain":                 {Type: room.EventUserJoin, Room: "r", Seq: 9, Expected: 4, Version: 2, Data: join("b")},
		"version 3 does not follow":    {Type: room.EventUserJoin, Room: "r", Seq: 9, Expected: 5, Version: 3, Data: join("b")},
		"carries room":                 {Type: room.EventUserJoin, Room: "q", Seq: 9, Expected: 5, Version: 2, Data: join("b")},
		"of a member":                  {Type: room.EventUserJoin, Room: "r", Seq: 9, Expected: 5, Version: 2, Data: join("a")},
		"a user that is not a member":  {Type: room.EventUserLeave, Room: "r", Seq: 9, Expected: 5, Version: 2, Data: room.Data{Room: room.Room{ID: "r"}, LeavingUser: &room.User{ID: "z"}}},
		"update without a user":        {Type: room.EventUserUpdate, Room: "r", Seq: 9, Expected: 5, Version: 2, Data: room.Data{Room: room.Room{ID: "r"}, UserAfter: &room.User{ID: "z"}}},
		"unknown event":                {Type: "explode", Room: "r", Seq: 9, Expected: 5, Version: 2, Data: room.Data{Room: room.Room{ID: "r"}}},
		"creation of a room that live": {Type: room.EventCreate, Room: "r", Seq: 9, Expected: 5, Version: 1, Data: room.Data{Room: room.Room{ID: "r"}}},
	} {
		s := made()
		require.ErrorContains(t, rules.Evolve(s, e), says)
		assert.Equal(t, made(), s, "a refused event changes nothing")
	}
	var never rules.State
	require.ErrorContains(t, rules.Evolve(&never, room.Event{Type: room.EventDelete, Room: "r", Seq: 1, Version: 1, Data: room.Data{Room: room.Room{ID: "r"}}}), "does not live")
	require.ErrorContains(t, rules.Evolve(&never, room.Event{Type: room.EventCreate, Room: "r", Seq: 1, Version: 2, Data: room.Data{Room: room.Room{ID: "r"}}}), "creation with version 2")
}

func TestEvolve_ContinuesAfterSkippedMessage(t *testing.T) {
	t.Parallel()
	var s rules.State
	s.Skip(3)
	require.NoError(t, rules.Evolve(&s, room.Event{Type: room.EventCreate, Room: "r", Seq: 4, Expected: 3, Version: 1, Data: room.Data{Room: room.Room{ID: "r"}}}))
	s.Skip(2)
	assert.Equal(t, uint64(4), s.Seq)
	s.Skip(5)
	join := room.Data{Room: room.Room{ID: "r"}, JoiningUser: &bob}
	require.Error(t, rules.Evolve(&s, room.Event{Type: room.EventUserJoin, Room: "r", Seq: 6, Expected: 3, Version: 2, Data: join}))
	require.NoError(t, rules.Evolve(&s, room.Event{Type: room.EventUserJoin, Room: "r", Seq: 6, Expected: 4, Version: 2, Data: join}),
		"a message that slipped in under the guard of a committed event does not undo it")
}

// A room can be created again after the history of a deleted room with the same id has been purged. The
// previous event is then no longer in the stream.
func TestEvolve_RecreatedRoomAfterPurge(t *testing.T) {
	t.Parallel()
	data := room.Data{Room: room.Room{ID: "r"}, Members: []room.User{{ID: "a"}}}
	recreated := room.Event{
		Type: room.EventCreate, Room: "r", Seq: 9, Expected: 7, Version: 1, Data: data,
		Previous: room.Latest{Create: 3, Delete: 7, UserJoin: 5},
	}
	var s rules.State
	require.NoError(t, rules.Evolve(&s, recreated))
	assert.True(t, s.IsMember("a"))
	assert.Equal(t, room.Latest{Create: 9, Delete: 7, UserJoin: 5}, s.Latest, "as in a state with the whole history")

	var skipped rules.State
	skipped.Skip(8) // it was stored without a guard
	require.NoError(t, rules.Evolve(&skipped, recreated))

	second := recreated
	second.Version = 2
	join := room.Event{Type: room.EventUserJoin, Room: "r", Seq: 9, Expected: 7, Version: 2, Data: room.Data{Room: data.Room, JoiningUser: &bob}}
	for says, e := range map[string]room.Event{"version": second, "join": join} {
		var never rules.State
		require.ErrorContains(t, rules.Evolve(&never, e), "broken chain", says)
	}
	var known rules.State
	require.NoError(t, rules.Evolve(&known, room.Event{Type: room.EventCreate, Room: "r", Seq: 3, Version: 1, Data: data}))
	require.NoError(t, rules.Evolve(&known, room.Event{Type: room.EventDelete, Room: "r", Seq: 4, Expected: 3, Version: 2, Time: at, Data: data}))
	assert.Equal(t, at, known.DeletedAt)
	require.ErrorContains(t, rules.Evolve(&known, recreated), "broken chain", "the history of a known room is not purged")

	// Another replica has purged the history and created the room again.
	recreated.Expected, recreated.Previous = 0, room.Latest{}
	require.NoError(t, rules.Evolve(&known, recreated))
	assert.Equal(t, room.Latest{Create: 9}, known.Latest)
}

func TestEvolve_CreationWithGuard0ReplacesLiveRoomWhoseEventsWerePurged(t *testing.T) {
	t.Parallel()
	data := func(user string) room.Data {
		return room.Data{Room: room.Room{ID: "r", SlugifiedName: user}, Members: []room.User{{ID: user}}}
	}
	first := room.Event{Type: room.EventCreate, Room: "r", Seq: 3, Version: 1, Data: data("a")}
	second := room.Event{Type: room.EventCreate, Room: "r", Seq: 9, Version: 1, Data: data("b")}
	var s, fresh rules.State
	require.NoError(t, rules.Evolve(&s, first))
	require.NoError(t, rules.Evolve(&s, second))
	require.NoError(t, rules.Evolve(&fresh, second))
	assert.Equal(t, fresh, s)
}

func TestState_HasEventsOfThisLifeOnly(t *testing.T) {
	t.Parallel()
	var s rules.State
	assert.False(t, s.Has(room.EventCreate), "it has never been")
	data := room.Data{Room: room.Room{ID: "r"}}
	s.Latest = room.Latest{Create: 1, UserJoin: 2, Delete: 4}
	s.Seq, s.Applied = 4, 4
	assert.False(t, s.Has(room.EventUserJoin), "it is deleted")
	require.NoError(t, rules.Evolve(&s, room.Event{Type: room.EventCreate, Room: "r", Seq: 5, Expected: 4, Version: 1, Data: data}))
	data.JoiningUser = &bob
	require.NoError(t, rules.Evolve(&s, room.Event{Type: room.EventUserJoin, Room: "r", Seq: 6, Expected: 5, Version: 2, Data: data}))
	has := make(map[room.EventType]bool)
	for _, e := range room.EventTypes() {
		has[e] = s.Has(e)
	}
	assert.Equal(t, map[room.EventType]bool{room.EventCreate: true, room.EventUserJoin: true, room.EventUserLeave: false, room.EventDelete: false, room.EventUpdate: false, room.EventUserUpdate: false}, has)
}
