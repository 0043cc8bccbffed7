package expression

import (
	"maps"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
)

// dictionary is a JSON object whose keys are visited in their order, so that every replica makes the same
// list of them. The library visits them in the order of a Go map.
type dictionary struct {
	libraryMap
	of map[string]any
	// Of a document only. An object of an event is visited and counted again for each command.
	keys []string // sorted
	size uint32   // elements at all depths
}

// libraryMap is the library's map, but for its Fold, which visits the keys.
type libraryMap interface {
	traits.Mapper
	traits.Zeroer
	types.AggregateSizeVisitor
	FindStringKey(key string) (any, bool)
}

func newDictionary(of map[string]any) *dictionary {
	m, _ := types.NewStringInterfaceMap(adapter{}, of).(libraryMap)
	return &dictionary{libraryMap: m, of: of}
}

// prepared returns the dictionary with its keys sorted and its elements counted.
func (d *dictionary) prepared() *dictionary {
	d.keys, d.size = slices.Sorted(maps.Keys(d.of)), walker.AggregateSize(d.libraryMap)
	return d
}

// AggregateSize returns the number of elements at all depths.
func (d *dictionary) AggregateSize(by types.AggregateSizer) uint32 {
	if d.size > 0 {
		return d.size
	}
	return d.libraryMap.AggregateSize(by)
}

// Iterator visits the keys.
func (d *dictionary) Iterator() traits.Iterator {
	keys := d.keys
	if keys == nil {
		keys = slices.Sorted(maps.Keys(d.of))
	}
	return types.NewStringList(adapter{}, keys).Iterator()
}
