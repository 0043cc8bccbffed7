package projection

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// requireIndexed requires that the index has exactly the live rooms and their members, in order.
func requireIndexed(t require.TestingT, r rooms) {
	var live []*rules.State
	memberships := make(map[string][]string)
	for _, s := range r.byID {
		if s.Room != nil {
			live = append(live, s)
		}
	}
	slices.SortFunc(live, func(a, b *rules.State) int { return strings.Compare(a.Room.ID, b.Room.ID) })
	ids := []string{}
	for _, s := range live {
		ids = append(ids, s.Room.ID)
		for userID := range s.MemberIDs(0) {
			memberships[userID] = append(memberships[userID], s.Room.ID)
		}
	}
	require.Equal(t, ids, r.index.byID.Keys(), "by id")
	slices.SortStableFunc(live, func(a, b *rules.State) int { return strings.Compare(a.Room.SlugifiedName, b.Room.SlugifiedName) })
	var byName []string
	for _, s := range live {
		byName = append(byName, s.Room.ID)
	}
	require.Equal(t, byName, idsOf(r.index.byName.Scan), "by name")
	require.Len(t, r.index.byMember, len(memberships))
	for userID, want := range memberships {
		require.Equal(t, want, roomsOf(r.index.byMember[userID]), "of %s", userID)
	}
}

func idsOf(scan func(func(*rules.State) bool)) (ids []string) {
	scan(func(s *rules.State) bool {
		ids = append(ids, s.Room.ID)
		return true
	})
	return ids
}

func roomsOf(set *roomSet) []string {
	return idsOf(func(yield func(*rules.State) bool) { set.after("", yield) })
}

func TestRoomSet_FewAndMany(t *testing.T) {
	t.Parallel()
	all := make([]*rules.State, 3*maxFew)
	for n := range all {
		all[n] = &rules.State{Room: &room.Room{ID: fmt.Sprintf("r%04d", n)}}
	}
	set := &roomSet{}
	in := make(map[string]bool)
	check := func() {
		var want []string
		for _, s := range all {
			if in[s.Room.ID] {
				want = append(want, s.Room.ID)
			}
		}
		require.Equal(t, want, roomsOf(set))
		require.Equal(t, len(want) == 0, set.empty())
		middle := idsOf(func(yield func(*rules.State) bool) { set.after("r0300", yield) })
		at, _ := slices.BinarySearch(want, "r0301")
		require.Len(t, middle, len(want)-at)
	}
	for turn, n := range rand.Perm(len(all)) {
		set.add(all[n])
		set.add(all[n])
		in[all[n].Room.ID] = true
		if turn%50 == 0 {
			check()
		}
	}
	check()
	for turn, n := range rand.Perm(len(all)) {
		set.remove(all[n])
		set.remove(all[n])
		delete(in, all[n].Room.ID)
		if turn%50 == 0 {
			check()
		}
	}
	check()
	var none *roomSet
	assert.Empty(t, roomsOf(none))
}

func TestRoomSet_FewAreRemoved(t *testing.T) {
	t.Parallel()
	a, b := &rules.State{Room: &room.Room{ID: "a"}}, &rules.State{Room: &room.Room{ID: "b"}}
	set := &roomSet{}
	set.add(b)
	set.add(a)
	set.remove(a)
	set.remove(a)
	assert.Equal(t, []string{"b"}, roomsOf(set))
	assert.Empty(t, idsOf(func(yield func(*rules.State) bool) { set.after("b", yield) }))
	set.remove(b)
	assert.True(t, set.empty())
}

// The members of a large room that is deleted leave the index little by little. No list has the room
// meanwhile, and a room that is created under its id has its own members.
func TestIndex_LargeRoomIsSweptAfterItsDeletion(t *testing.T) {
	t.Parallel()
	const members = 3*sweepAtOnce + 10
	r := newRooms()
	seq, version, last := uint64(0), uint64(0), uint64(0)
	apply := func(e room.EventType, d room.Data) {
		seq++
		version++
		if e == room.EventCreate {
			version = 1
		}
		d.Room.ID = "large"
		event := room.Event{Type: e, Room: "large", ID: strconv.FormatUint(seq, 10), Seq: seq, Expected: last, Version: version, Data: d}
		require.NoError(t, r.apply(r.state("large"), event, time.Now()))
		last = seq
	}
	users := make([]room.User, members)
	for n := range users {
		users[n] = room.User{ID: fmt.Sprintf("u%04d", n)}
	}
	listed := func(user string) (ids []string) {
		r.index.after(room.ListRequest{Member: user}, cursor{}, func(s *rules.State) bool {
			ids = append(ids, s.Room.ID)
			return true
		})
		return ids
	}
	const lastUser = "u0777"
	apply(room.EventCreate, room.Data{Members: users})
	require.Equal(t, []string{"large"}, listed(lastUser))
	apply(room.EventDelete, room.Data{})
	require.Empty(t, listed(lastUser))
	require.NotEmpty(t, r.index.deleted, "the room is swept at once")
	apply(room.EventCreate, room.Data{Members: []room.User{{ID: lastUser}}})
	require.Equal(t, []string{"large"}, listed(lastUser))
	require.Empty(t, listed("u0776"))
	for r.index.deleted != nil {
		apply(room.EventUserJoin, room.Data{JoiningUser: &room.User{ID: fmt.Sprintf("new%d", seq)}})
	}
	require.Equal(t, []string{"large"}, listed(lastUser))
	requireIndexed(t, r)
}
