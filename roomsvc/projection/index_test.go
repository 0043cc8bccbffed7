package projection

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

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
		for userID := range s.MemberIDs() {
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
