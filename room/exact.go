package room

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// MaxNesting bounds how deep the arrays and objects of a document may stand in each other. What
// readers of other languages make of more is not known, and a record stands deeper in an answer
// than in the request that it came with.
const MaxNesting = 64

// exact returns an error unless every key of the document's objects is, to the letter, a field
// of the type it is read into, and stands there once. encoding/json would take roomID for
// roomId, and the last of two. The document keeps MaxNesting.
func exact(data []byte, t reflect.Type) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // one that is too large for a float is still a number
	return exactValue(d, t, 0)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func exactValue(d *json.Decoder, t reflect.Type, depth int) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && reflect.PointerTo(t).Implements(unmarshaler) {
		t = nil // it reads what it likes, and has no keys of ours
	}
	token, err := d.Token()
	if err != nil {
		return explain(err)
	}
	if _, opens := token.(json.Delim); opens {
		depth++
	}
	switch {
	case depth > MaxNesting:
		return invalid("the body is nested deeper than %d arrays and objects", MaxNesting)
	case token == json.Delim('{'):
		return exactObject(d, t, depth)
	case token == json.Delim('['):
		var item reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			item = t.Elem()
		}
		for d.More() {
			if err := exactValue(d, item, depth); err != nil {
				return err
			}
		}
		_, err = d.Token() // the closing bracket: it has been read as JSON before
	}
	return err
}

// exactObject reads an object whose opening brace has been read.
func exactObject(d *json.Decoder, t reflect.Type, depth int) error {
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return explain(err)
		}
		key, _ := token.(string)
		if seen[key] {
			return invalid("field %q stands there twice", key)
		}
		seen[key] = true
		of, known := fieldType(t, key)
		if !known {
			return invalid("unknown field %q", key)
		}
		if err := exactValue(d, of, depth); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// fieldType is the type of what a key of an object of type t holds, nil if that may be
// anything.
func fieldType(t reflect.Type, key string) (of reflect.Type, known bool) {
	switch {
	case t == nil:
		return nil, true
	case t.Kind() == reflect.Map:
		return t.Elem(), true
	case t.Kind() != reflect.Struct:
		return nil, true
	}
	for n := range t.NumField() {
		f := t.Field(n)
		if f.Anonymous {
			if of, known := fieldType(f.Type, key); known {
				return of, true
			}
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == key {
			return f.Type, true
		}
	}
	return nil, false
}
