package room

import (
	"maps"
	"reflect"
)

// MergePatch applies an RFC 7396 merge patch to a JSON document. An array replaces an array unchanged,
// including its nulls. Numbers keep their notation. The members of objects are sorted by name in the
// result.
func MergePatch(document, patch []byte) ([]byte, error) {
	target, err := decodeAny(document)
	if err != nil {
		return nil, err
	}
	change, err := decodeAny(patch)
	if err != nil {
		return nil, err
	}
	return Encode(merge(target, change))
}

// CreateMergePatch returns the merge patch that changes the JSON document before into after. exact is
// false if no merge patch can do so, because a member of an object becomes null: a null in a merge patch
// removes the member.
func CreateMergePatch(before, after []byte) (patch []byte, exact bool, err error) {
	was, err := decodeAny(before)
	if err != nil {
		return nil, false, err
	}
	is, err := decodeAny(after)
	if err != nil {
		return nil, false, err
	}
	change := difference(was, is)
	patch, err = Encode(change)
	return patch, reflect.DeepEqual(merge(was, change), is), err
}

func decodeAny(document []byte) (value any, err error) {
	err = Decode(document, &value)
	return value, err
}

// merge is the function MergePatch of RFC 7396. It does not change the target.
func merge(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, _ := target.(map[string]any)
	merged := make(map[string]any, len(object)+len(change))
	maps.Copy(merged, object)
	for name, value := range change {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = merge(merged[name], value)
		}
	}
	return merged
}

// difference returns the merge patch between two values.
func difference(before, after any) any {
	was, ok := before.(map[string]any)
	is, both := after.(map[string]any)
	if !ok || !both {
		return after
	}
	change := make(map[string]any)
	for name, value := range is {
		if old, there := was[name]; !there || !reflect.DeepEqual(old, value) {
			change[name] = difference(old, value)
		}
	}
	for name := range was {
		if _, still := is[name]; !still {
			change[name] = nil
		}
	}
	return change
}
