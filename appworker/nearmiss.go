package appworker

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/roombus/roombus/room"
)

// interfaceTypes are the Go types of the interfaces.
var interfaceTypes = map[room.Interface]reflect.Type{
	room.PreRoomCreatePrevent: reflect.TypeFor[PreRoomCreatePrevent](),
	room.PreRoomCreateExtend:  reflect.TypeFor[PreRoomCreateExtend](),
	room.PreRoomCreateModify:  reflect.TypeFor[PreRoomCreateModify](),
	room.PostRoomCreate:       reflect.TypeFor[PostRoomCreate](),
	room.PreRoomDeletePrevent: reflect.TypeFor[PreRoomDeletePrevent](),
	room.PostRoomDeleted:      reflect.TypeFor[PostRoomDeleted](),
	room.PreRoomUserJoined:    reflect.TypeFor[PreRoomUserJoined](),
	room.PostRoomUserJoined:   reflect.TypeFor[PostRoomUserJoined](),
	room.PreRoomUserLeave:     reflect.TypeFor[PreRoomUserLeave](),
	room.PostRoomUserLeave:    reflect.TypeFor[PostRoomUserLeave](),

	room.PreRoomUpdatePrevent:     reflect.TypeFor[PreRoomUpdatePrevent](),
	room.PostRoomUpdated:          reflect.TypeFor[PostRoomUpdated](),
	room.PreRoomUserUpdatePrevent: reflect.TypeFor[PreRoomUserUpdatePrevent](),
	room.PostRoomUserUpdated:      reflect.TypeFor[PostRoomUserUpdated](),
}

// signature returns the method that a handler of the interface must have.
func signature(i room.Interface) string { return named(string(i), interfaceTypes[i].Method(0).Type) }

func named(method string, f reflect.Type) string {
	return method + strings.TrimPrefix(f.String(), "func")
}

// nearMisses returns an error for each method of the handler that looks like one of the interfaces and
// would never be called: it has another name or signature, it has a pointer receiver and the handler is no
// pointer, or two embedded values have it. A veto that is never asked allows everything, so a near miss is
// an error.
func nearMisses(handler any) []error {
	t := reflect.TypeOf(handler)
	whole := t // includes methods with pointer receivers
	if t.Kind() != reflect.Pointer {
		whole = reflect.PointerTo(t)
	}
	var all []error
	for m := range whole.Methods() {
		if !looksLikeInterface(m.Name) {
			continue
		}
		switch i := room.Interface(m.Name); {
		case !i.Known():
			all = append(all, fmt.Errorf("%s has the method %s, which is none of the interfaces; the nearest is %s", t, m.Name, nearest(m.Name)))
		case !whole.Implements(interfaceTypes[i]):
			has := reflect.Zero(whole).Method(m.Index).Type()
			all = append(all, fmt.Errorf("%s has the method %s; it must be %s", t, named(m.Name, has), signature(i)))
		case !t.Implements(interfaceTypes[i]):
			all = append(all, fmt.Errorf("%s has the method %s on its pointer only: pass &%s{...}", t, m.Name, t))
		}
	}
	for _, name := range ambiguous(whole) {
		all = append(all, fmt.Errorf("%s embeds more than one value with the method %s, so none of them counts: give %s the method", t, name, t))
	}
	return all
}

// looksLikeInterface reports whether a method is meant to be an interface.
func looksLikeInterface(method string) bool {
	for _, prefix := range []string{"PreRoom", "PostRoom"} {
		if len(method) >= len(prefix) && strings.EqualFold(method[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// ambiguous returns the methods that embedded values have and whole, a pointer type, has not. If two
// methods have the same name and depth, Go promotes neither.
func ambiguous(whole reflect.Type) []string {
	var names []string
	seen := make(map[reflect.Type]bool)
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		if t.Kind() != reflect.Struct || seen[t] {
			return
		}
		seen[t] = true
		for f := range t.Fields() {
			if !f.Anonymous {
				continue
			}
			embedded, methods := f.Type, f.Type
			switch embedded.Kind() {
			case reflect.Pointer:
				embedded = embedded.Elem()
			case reflect.Interface:
			default:
				methods = reflect.PointerTo(embedded)
			}
			for m := range methods.Methods() {
				if _, promoted := whole.MethodByName(m.Name); !promoted && looksLikeInterface(m.Name) {
					names = append(names, m.Name)
				}
			}
			walk(embedded)
		}
	}
	walk(whole.Elem())
	slices.Sort(names)
	return slices.Compact(names)
}

// nearest returns the signatures of the interfaces whose names are nearest to the method's name. A common
// prefix counts twice, because a name such as "PreRoomCreate" is probably an abbreviation.
func nearest(method string) string {
	var best []string
	least := math.MaxInt
	for _, i := range room.Interfaces() {
		word, of := strings.ToLower(method), strings.ToLower(string(i))
		far := distance(word, of) - sameBeginning(word, of)
		switch {
		case far < least:
			best, least = []string{signature(i)}, far
		case far == least:
			best = append(best, signature(i))
		}
	}
	return strings.Join(best, " or ")
}

func sameBeginning(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// distance returns the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for n := range row {
		row[n] = n
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
