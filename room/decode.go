package room

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// MaxNesting bounds the nesting depth of arrays and objects in a document. Parsers of other languages may
// have their own limits, and a record is nested deeper in a reply than in its request.
const MaxNesting = 64

// Decode strictly decodes one JSON object into a wire type. It returns an error of code invalid_request
// for invalid UTF-8 or JSON, nesting deeper than MaxNesting, an unknown or duplicate field, half of a
// surrogate pair in a string or a name, and data after the end of the object. Numbers in untyped
// fields become json.Number, so that a 64-bit id in a custom field keeps its value.
func Decode(data []byte, into any) error {
	if tooDeep(data, MaxNesting) {
		return invalid("the body is nested deeper than %d arrays and objects", MaxNesting)
	}
	return decode(data, into, strict)
}

// DecodeLenient decodes data that another version may have written. It ignores unknown fields and the case
// of names, the last one of duplicate fields counts, and MaxNesting does not apply. All versions must read
// an event in the same way.
func DecodeLenient(data []byte, into any) error {
	return decode(data, into, lenient)
}

// Encode encodes a wire type as JSON like encoding/json.Marshal. A string or a name that is not valid
// UTF-8 is an error of code invalid_request; Marshal would change it.
func Encode(v any) ([]byte, error) {
	data, err := jsonv2.Marshal(v, encoding)
	var syntax *jsontext.SyntacticError
	switch {
	case err == nil:
		return data, nil
	case errors.As(err, &syntax):
		return nil, invalid("%s: %v", place(syntax.JSONPointer), syntax.Err)
	}
	return nil, invalid("%s", strings.TrimPrefix(err.Error(), "json: "))
}

var (
	encoding = jsonv2.JoinOptions(
		jsonv1.DefaultOptionsV1(),
		jsonv1.ReportErrorsWithLegacySemantics(false),
		jsontext.AllowInvalidUTF8(false),
		jsonv2.WithMarshalers(jsonv2.MarshalToFunc(writeNumber)),
	)
	lenient = jsonv2.JoinOptions(
		jsonv1.DefaultOptionsV1(),
		jsonv1.ReportErrorsWithLegacySemantics(false), // so that errors name the field
		jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(keepNumber)),
	)
	strict = jsonv2.JoinOptions(lenient,
		jsonv2.WithUnmarshalers(jsonv2.JoinUnmarshalers(
			jsonv2.UnmarshalFromFunc(keepNumber), jsonv2.UnmarshalFromFunc(refuseNull),
		)),
		jsonv2.MatchCaseInsensitiveNames(false),
		jsonv2.RejectUnknownMembers(true),
		jsontext.AllowDuplicateNames(false),
		jsontext.AllowInvalidUTF8(false),
	)
)

// writeNumber writes a number unchanged. The library would write a string.
func writeNumber(e *jsontext.Encoder, n json.Number) error {
	value := jsontext.Value(cmp.Or(n, "0")) // as encoding/json does
	if value.Kind() != jsontext.KindNumber {
		return fmt.Errorf("%.80q is no number", n.String())
	}
	return e.WriteValue(value)
}

func keepNumber(d *jsontext.Decoder, into *any) error {
	if d.PeekKind() != jsontext.KindNumber {
		return errors.ErrUnsupported // the library's default function decodes it
	}
	number, err := d.ReadValue()
	*into = json.Number(number)
	return err
}

// refuseNull refuses a null in a list of strings. The library would decode an empty string.
func refuseNull(d *jsontext.Decoder, _ *string) error {
	if d.PeekKind() == jsontext.KindNull {
		if in, _ := d.StackIndex(d.StackDepth()); in == jsontext.KindBeginArray {
			return errors.New("must be string, not null")
		}
	}
	return errors.ErrUnsupported
}

func decode(data []byte, into any, how jsonv2.Options) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return invalid("the body is empty; it must be a JSON object")
	}
	if !utf8.Valid(data) {
		return invalid("the body is not valid UTF-8")
	}
	if err := jsonv2.Unmarshal(data, into, how); err != nil {
		return explain(data, err)
	}
	return nil
}

// tooDeep reports whether JSON is nested deeper than most.
func tooDeep(data []byte, most int) bool {
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) <= most {
		return false
	}
	depth, quoted := 0, false
	for n := 0; n < len(data) && depth <= most; n++ {
		switch c := data[n]; {
		case c == '\\':
			n++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		}
	}
	return depth > most
}

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
		return invalid("unknown field %q", semantic.JSONPointer.LastToken())
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
	case e.Err != nil && e.JSONKind == jsontext.KindNumber: // a fraction, or out of range
		return invalid("%s must be %s, not number %s", field, e.GoType, e.JSONValue)
	case e.Err != nil:
		return invalid("%s: %v", field, e.Err)
	}
	return invalid("%s must be %s, not %s", field, typeName(e.GoType), kinds[e.JSONKind])
}

// typeName names a type in an error. A patch is an object.
func typeName(t reflect.Type) string {
	if t == reflect.TypeFor[Patch]() {
		return "object"
	}
	return t.String()
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
