package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/roombus/roombus/room"
)

// changes shows the fields that an update has changed, with their values before and after it.
func changes(w io.Writer, d room.Data) {
	var before, after map[string]json.RawMessage
	switch {
	case d.Before != nil && d.After != nil:
		before, after = fieldsOf(d.Before), fieldsOf(d.After)
	case d.UserBefore != nil && d.UserAfter != nil:
		before, after = fieldsOf(d.UserBefore), fieldsOf(d.UserAfter)
	default:
		return
	}
	for _, name := range d.Changed {
		fmt.Fprintf(w, "    %s: %s -> %s\n", plain(name), valueOf(before, name), valueOf(after, name))
	}
}

// fieldsOf returns the fields of a record by their names on the wire.
func fieldsOf(record any) (fields map[string]json.RawMessage) {
	data, _ := json.Marshal(record)   // the record was decoded from JSON
	_ = json.Unmarshal(data, &fields) // it is an object
	return fields
}

// valueOf returns a field as JSON, or a dash if there is none. A name such as customFields.topic is a
// key of an object.
func valueOf(fields map[string]json.RawMessage, name string) string {
	if object, key, within := strings.Cut(name, "."); within {
		var inner map[string]json.RawMessage
		_ = json.Unmarshal(fields[object], &inner) // an absent object has no keys
		fields, name = inner, key
	}
	value, there := fields[name]
	if !there {
		return "-"
	}
	return plain(string(value))
}
