package room

import (
	"maps"
	"reflect"
)

// MergePatch applies an RFC 7396 merge patch to a JSON document. An array replaces an array as it
// is, the nulls in it included; numbers stay as they are written. The members of objects come out
// in the order of their names.
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

// CreateMergePatch returns the merge patch that makes the JSON document after of the one before.
// It is not exact if no merge patch does, which is so if a member of an object is to become null:
// in a merge patch null removes the member.
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

// merge is the function MergePatch of RFC 7396. It leaves the target alone.
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

// difference is the merge patch between two values.
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
