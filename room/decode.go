package room

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Decode reads one JSON object into a wire type, strictly: what is not UTF-8, not JSON, has
// an unknown field, one twice, or something after its end gives an error of code invalid_request that
// says so. Numbers without a field of their own stay json.Number, so that a 64-bit id in a
// custom field comes out as it went in.
func Decode(data []byte, into any) error {
	return decode(data, into, true)
}

// DecodeLenient is Decode for what a newer peer may have written: unknown fields are passed
// over.
func DecodeLenient(data []byte, into any) error {
	return decode(data, into, false)
}

func decode(data []byte, into any, strict bool) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return invalid("the body is empty; it must be a JSON object")
	}
	if !utf8.Valid(data) {
		return invalid("the body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		return explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("the body goes on after the end of its JSON object")
	}
	if strict {
		return exact(data, reflect.TypeOf(into))
	}
	return nil
}

func explain(err error) *Error {
	var typ *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &typ) && typ.Field == "":
		return invalid("the body must be a JSON object, not %s", typ.Value)
	case errors.As(err, &typ):
		return invalid("%s must be %s, not %s", typ.Field, typ.Type, typ.Value)
	case errors.As(err, &syntax):
		return invalid("the body is not JSON: %v (at byte %d)", err, syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("the body is not JSON: it ends too early")
	}
	return invalid("%s", strings.TrimPrefix(err.Error(), "json: "))
}
