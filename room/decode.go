package room

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
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
