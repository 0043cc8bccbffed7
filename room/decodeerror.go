package room

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// explain turns an error of the JSON library into one that names the field and the remedy.
func explain(data []byte, err error) *Error {
	var syntax *jsontext.SyntacticError
	var semantic *jsonv2.SemanticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("the body is not JSON: it ends too early")
	case errors.As(err, &syntax) && errors.Is(err, jsontext.ErrDuplicateName):
		return invalid("field %q stands there twice", syntax.JSONPointer.LastToken())
	case syntax != nil && jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)):
		return invalid("%s: %.6s is half of a surrogate pair, which is not text (at byte %d)", place(syntax.JSONPointer), data[syntax.ByteOffset:], syntax.ByteOffset)
	case syntax != nil && jsontext.Value(data[:syntax.ByteOffset]).IsValid():
		return invalid("the body goes on after the end of its JSON object")
	case syntax != nil:
		return invalid("the body is not JSON: %v (at byte %d)", syntax.Err, syntax.ByteOffset)
	case errors.As(err, &semantic) && errors.Is(err, jsonv2.ErrUnknownName):
		name := semantic.JSONPointer.LastToken()
		return invalid("unknown field %q%s", name, suggestion(name, semantic.GoType))
	case semantic != nil:
		return explainType(semantic)
	}
	return invalid("%s", strings.TrimPrefix(err.Error(), "json: "))
}

// place names the value of a pointer, such as user.roles.1.
func place(p jsontext.Pointer) string {
	if p == "" {
		return "the body"
	}
	return strings.Join(slices.Collect(p.Tokens()), ".")
}

func explainType(e *jsonv2.SemanticError) *Error {
	field := place(e.JSONPointer)
	switch {
	case e.JSONPointer == "":
		return invalid("the body must be a JSON object, not %s", kinds[e.JSONKind])
	case e.GoType == reflect.TypeFor[time.Time]():
		return invalid("%s must be a time such as 2026-01-02T15:04:05Z", field)
	case e.Err != nil && e.JSONKind == jsontext.KindNumber: // a fraction, or out of range
		return invalid("%s must be %s, not number %s", field, typeName(e.GoType), e.JSONValue)
	case e.Err != nil:
		return invalid("%s: %v", field, e.Err)
	}
	return invalid("%s must be %s, not %s", field, typeName(e.GoType), kinds[e.JSONKind])
}

// typeName names the JSON type of a Go type in an error.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice, reflect.Array:
		if t == reflect.TypeFor[Patch]() {
			return "object"
		}
		return "array"
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Int64:
		return "int"
	case reflect.Uint64:
		return "int of 0 or more"
	}
	return t.Kind().String()
}

// suggestion returns the end of the error about an unknown field of a type: the field that was
// probably meant, such as roomId for roomID or essentials for essential. It is empty if there is
// none.
func suggestion(name string, t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return ""
	}
	for f := range t.Fields() {
		known, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if n := min(len(name), len(known)); n > 1 && strings.EqualFold(name[:n], known[:n]) {
			return fmt.Sprintf(": is it %q?", known)
		}
	}
	return ""
}

// kinds has the names of the kinds of JSON values.
var kinds = map[jsontext.Kind]string{
	jsontext.KindNull:        "null",
	jsontext.KindTrue:        "bool",
	jsontext.KindFalse:       "bool",
	jsontext.KindNumber:      "number",
	jsontext.KindString:      "string",
	jsontext.KindBeginObject: "object",
	jsontext.KindBeginArray:  "array",
}
