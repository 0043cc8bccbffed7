package room

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// MaxNesting bounds how deep the arrays and objects of a document may stand in each other. What
// readers of other languages make of more is not known, and a record stands deeper in an answer
// than in the request that it came with.
const MaxNesting = 64

// Decode reads one JSON object into a wire type, strictly: what is not UTF-8, not JSON, nested
// deeper than MaxNesting, has an unknown field, one twice, or something after its end gives an
// error of code invalid_request that says so. Numbers without a field of their own stay
// json.Number, so that a 64-bit id in a custom field comes out as it went in.
func Decode(data []byte, into any) error {
	if tooDeep(data) {
		return invalid("the body is nested deeper than %d arrays and objects", MaxNesting)
	}
	return decode(data, into, strict)
}

// DecodeLenient is Decode for what a peer of another version may have written: unknown fields are
// passed over, names may differ in case, of a field that stands there twice the last counts, and
// nesting has no bound of ours. Whether an event can be read, and as what, must not depend on the
// version that reads it.
func DecodeLenient(data []byte, into any) error {
	return decode(data, into, lenient)
}

var (
	lenient = jsonv2.JoinOptions(
		jsonv1.DefaultOptionsV1(),
		jsonv1.ReportErrorsWithLegacySemantics(false), // they name the field
		jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(keepNumber)),
	)
	strict = jsonv2.JoinOptions(lenient,
		jsonv2.MatchCaseInsensitiveNames(false),
		jsonv2.RejectUnknownMembers(true),
		jsontext.AllowDuplicateNames(false),
	)
)

func keepNumber(d *jsontext.Decoder, into *any) error {
	if d.PeekKind() != jsontext.KindNumber {
		return errors.ErrUnsupported // by this function: the usual one takes it
	}
	number, err := d.ReadValue()
	*into = json.Number(number)
	return err
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

// tooDeep reports whether JSON is nested deeper than MaxNesting.
func tooDeep(data []byte) bool {
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) <= MaxNesting {
		return false
	}
	depth, quoted := 0, false
	for n := 0; n < len(data) && depth <= MaxNesting; n++ {
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
	return depth > MaxNesting
}

func explain(data []byte, err error) *Error {
	var syntax *jsontext.SyntacticError
	var semantic *jsonv2.SemanticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("the body is not JSON: it ends too early")
	case errors.As(err, &syntax) && errors.Is(err, jsontext.ErrDuplicateName):
		return invalid("field %q stands there twice", syntax.JSONPointer.LastToken())
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

func explainType(e *jsonv2.SemanticError) *Error {
	field := strings.Join(slices.Collect(e.JSONPointer.Tokens()), ".")
	switch {
	case field == "":
		return invalid("the body must be a JSON object, not %s", kinds[e.JSONKind])
	case e.Err != nil && e.JSONKind == jsontext.KindNumber: // of the wrong sort, or too large
		return invalid("%s must be %s, not number %s", field, e.GoType, e.JSONValue)
	case e.Err != nil:
		return invalid("%s: %v", field, e.Err)
	}
	return invalid("%s must be %s, not %s", field, e.GoType, kinds[e.JSONKind])
}

// kinds are what the kinds of JSON values are called.
var kinds = map[jsontext.Kind]string{
	jsontext.KindNull:        "null",
	jsontext.KindTrue:        "bool",
	jsontext.KindFalse:       "bool",
	jsontext.KindNumber:      "number",
	jsontext.KindString:      "string",
	jsontext.KindBeginObject: "object",
	jsontext.KindBeginArray:  "array",
}
