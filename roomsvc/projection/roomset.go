package projection

import (
	"slices"
	"strings"

	"github.com/tidwall/btree"

	"github.com/roombus/roombus/room/rules"
)

// maxFew is the number of rooms up to which a roomSet is a slice.
const maxFew = 256

// roomSet is a set of rooms in the order of their ids. Most users are in few rooms, for which a
// slice takes the least memory. But an insertion moves half of a slice: in one of a million rooms it
// takes 1 ms, and 100 ms while garbage is collected. A nil roomSet is empty.
type roomSet struct {
	few  []*rules.State
	many *btree.BTreeG[*rules.State] // nil until there are more than maxFew rooms
}

// add adds a room, in place of a former one with the same id. It is fastest if rooms are added in order.
func (set *roomSet) add(s *rules.State) {
	if set.many != nil {
		set.many.Set(s)
		return
	}
	n := len(set.few)
	if n == 0 || set.few[n-1].Room.ID < s.Room.ID {
		set.few = append(set.few, s)
	} else if at, found := set.find(s.Room.ID); found {
		set.few[at] = s
	} else {
		set.few = slices.Insert(set.few, at, s)
	}
	if len(set.few) > maxFew {
		set.many = newTree(compareIDs)
		for _, s := range set.few {
			set.many.Load(s)
		}
		set.few = nil
	}
}

// remove removes a room, but not another one with the same id.
func (set *roomSet) remove(s *rules.State) {
	if set.many != nil {
		if is, _ := set.many.Get(s); is == s {
			set.many.Delete(s)
		}
	} else if at, found := set.find(s.Room.ID); found && set.few[at] == s {
		set.few = slices.Delete(set.few, at, at+1)
	}
}

func (set *roomSet) empty() bool {
	return len(set.few) == 0 && (set.many == nil || set.many.Len() == 0)
}

// after calls yield for the rooms with ids after id, until it returns false.
func (set *roomSet) after(id string, yield func(*rules.State) bool) {
	switch {
	case set == nil:
	case set.many != nil:
		set.many.Ascend(named(id, ""), func(s *rules.State) bool { return s.Room.ID == id || yield(s) })
	default:
		at, found := set.find(id)
		if found {
			at++
		}
		for _, s := range set.few[at:] {
			if !yield(s) {
				return
			}
		}
	}
}

func (set *roomSet) find(id string) (int, bool) {
	return slices.BinarySearchFunc(set.few, id, func(s *rules.State, id string) int { return strings.Compare(s.Room.ID, id) })
}
