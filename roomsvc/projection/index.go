package projection

import (
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/btree"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// index has the live rooms in order: by id, by slugified name, and by id for each member. The trees
// compare the rooms that they contain. So a room must be removed before its record changes, and added
// again afterwards. It has no lock of its own.
type index struct {
	byID     btree.Map[string, *rules.State]
	byName   *btree.BTreeG[*rules.State] // by slugified name, and rooms with the same name by id
	byMember map[string]*roomSet         // by the id of the user
	deleted  []former                    // rooms with members that are still in byMember
}

// former is the last state of a deleted room, of which the first swept members are no longer in the index.
type former struct {
	*rules.State
	swept int
}

// sweepAtOnce is the number of members of deleted rooms that are removed from the index with each event. To
// remove 100,000 at once takes 100 ms, for which all commands would wait.
const sweepAtOnce = 256

func newIndex() index {
	return index{byName: newTree(compareNames), byMember: make(map[string]*roomSet)}
}

// newTree returns a tree of rooms. It takes a third of the memory of a tree with a key for each room.
func newTree(compare func(a, b *rules.State) int) *btree.BTreeG[*rules.State] {
	return btree.NewBTreeGOptions(func(a, b *rules.State) bool { return compare(a, b) < 0 }, btree.Options{NoLocks: true})
}

func compareIDs(a, b *rules.State) int { return strings.Compare(a.Room.ID, b.Room.ID) }

func compareNames(a, b *rules.State) int {
	if c := strings.Compare(a.Room.SlugifiedName, b.Room.SlugifiedName); c != 0 {
		return c
	}
	return compareIDs(a, b)
}

// add adds a room and its members, if the room lives.
func (x *index) add(s *rules.State) {
	if s.Room == nil {
		return
	}
	x.byID.Set(s.Room.ID, s)
	x.addName(s)
	for userID := range s.MemberIDs(0) {
		x.join(userID, s)
	}
}

// remove removes a room, if it lives. Its members are removed by sweep, which needs the state unchanged.
func (x *index) remove(s *rules.State) {
	if s.Room == nil {
		return
	}
	x.byID.Delete(s.Room.ID)
	x.removeName(s)
	x.deleted = append(x.deleted, former{State: s})
}

// sweep removes some members of deleted rooms. It is called with each event.
func (x *index) sweep() {
	left := sweepAtOnce
	for len(x.deleted) > 0 {
		f := &x.deleted[0]
		for userID := range f.MemberIDs(f.swept) {
			if left == 0 {
				return
			}
			x.leave(userID, f.State)
			f.swept++
			left--
		}
		x.deleted[0] = former{}
		x.deleted = x.deleted[1:]
	}
	x.deleted = nil
}

// lives reports whether the state of a room in byMember is that of a room that lives.
func (x *index) lives(s *rules.State) bool {
	if len(x.deleted) == 0 {
		return true
	}
	live, _ := x.byID.Get(s.Room.ID)
	return live == s
}

// addName adds the slugified name of a room that lives.
func (x *index) addName(s *rules.State) {
	if s.Room != nil {
		x.byName.Set(s)
	}
}

// removeName removes the slugified name of a room that lives.
func (x *index) removeName(s *rules.State) {
	if s.Room != nil {
		x.byName.Delete(s)
	}
}

func (x *index) join(userID string, s *rules.State) {
	set := x.byMember[userID]
	if set == nil {
		set = &roomSet{}
		x.byMember[strings.Clone(userID)] = set // the id is part of a member or a message, which must not stay in memory
	}
	set.add(s)
}

func (x *index) leave(userID string, s *rules.State) {
	set := x.byMember[userID]
	if set == nil {
		return
	}
	if set.remove(s); set.empty() {
		delete(x.byMember, userID)
	}
}

// load adds the live rooms to an empty index. In order that takes a fraction of the time of add.
func (x *index) load(states map[string]*rules.State) {
	var byID []*rules.State
	for _, s := range states {
		if s.Room != nil {
			byID = append(byID, s)
		}
	}
	byName := slices.Clone(byID)
	var names sync.WaitGroup
	names.Go(func() {
		slices.SortFunc(byName, compareNames)
		for _, s := range byName {
			x.byName.Load(s)
		}
	})
	defer names.Wait()
	slices.SortFunc(byID, compareIDs)
	for _, s := range byID {
		x.byID.Load(s.Room.ID, s)
		for userID := range s.MemberIDs(0) {
			x.join(userID, s)
		}
	}
}

// named returns a room to search for in a tree.
func named(id, name string) *rules.State {
	return &rules.State{Room: &room.Room{ID: id, SlugifiedName: name}}
}

// after calls yield for the rooms behind the cursor that can match the request, in the request's
// order, until it returns false.
func (x *index) after(r room.ListRequest, c cursor, yield func(*rules.State) bool) {
	switch {
	case r.Member != "":
		x.byMember[r.Member].after(c.id, func(s *rules.State) bool { return !x.lives(s) || yield(s) })
	case r.SlugifiedNamePrefix != "":
		from := named(c.id, max(c.name, r.SlugifiedNamePrefix))
		x.byName.Ascend(from, func(s *rules.State) bool {
			return strings.HasPrefix(s.Room.SlugifiedName, r.SlugifiedNamePrefix) && (compareNames(s, from) == 0 || yield(s))
		})
	default:
		x.byID.Ascend(c.id, func(id string, s *rules.State) bool { return id == c.id || yield(s) })
	}
}
