package room

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// FieldError is returned when a custom field or an attribute exists but has another type, or a number
// that the requested type cannot hold.
type FieldError struct {
	Field string
	Value any
	Want  string // such as "a whole number"
}

func (e *FieldError) Error() string {
	value, err := json.Marshal(e.Value)
	if err != nil {
		value = fmt.Append(nil, e.Value)
	}
	return cut(fmt.Sprintf("field %q must be %s, not %.80s", e.Field, e.Want, value))
}

// Int reads a whole number from custom fields or attributes. ok is false if the field is absent or
// null. The error is a *FieldError for any other value, such as 5.5, "5", or a number beyond 64 bits:
// Int never rounds. 5, 5.0 and 5e0 are the same number.
//
// JSON numbers are of type json.Number in the fields that a handler gets, so an assertion to
// float64 or int fails. Int accepts json.Number and every integer and float type of Go.
func Int(fields map[string]any, name string) (value int64, ok bool, err error) {
	field, ok := present(fields, name)
	if !ok {
		return 0, false, nil
	}
	value, ok = whole(field)
	if !ok {
		return 0, false, &FieldError{Field: name, Value: field, Want: "a whole number of at most 64 bits"}
	}
	return value, true, nil
}

// Float reads a number from custom fields or attributes, as Int does. A fraction is rounded to the nearest
// float64. The error is a *FieldError for a value that is not a number, for a number beyond the range of
// float64, and for a whole number of 64 bits that float64 would round, such as 9007199254740993.
func Float(fields map[string]any, name string) (value float64, ok bool, err error) {
	field, ok := present(fields, name)
	if !ok {
		return 0, false, nil
	}
	value, want := float(field)
	if want != "" {
		return 0, false, &FieldError{Field: name, Value: field, Want: want}
	}
	return value, true, nil
}

// String reads text from custom fields or attributes. ok is false if the field is absent or null; the
// error is a *FieldError if it is not text. A number is not text.
func String(fields map[string]any, name string) (value string, ok bool, err error) {
	field, ok := present(fields, name)
	if !ok {
		return "", false, nil
	}
	if value, ok = text(field); !ok {
		return "", false, &FieldError{Field: name, Value: field, Want: "a string"}
	}
	return value, true, nil
}

// Bool reads true or false from custom fields or attributes. ok is false if the field is absent or
// null; the error is a *FieldError if it is any other value.
func Bool(fields map[string]any, name string) (value, ok bool, err error) {
	field, ok := present(fields, name)
	if !ok {
		return false, false, nil
	}
	v := reflect.ValueOf(field)
	if v.Kind() != reflect.Bool {
		return false, false, &FieldError{Field: name, Value: field, Want: "true or false"}
	}
	return v.Bool(), true, nil
}

// Strings reads a list of strings from custom fields or attributes. ok is false if the field is
// absent or null; the error is a *FieldError if it is no list, or has an element that is not text.
func Strings(fields map[string]any, name string) (values []string, ok bool, err error) {
	field, ok := present(fields, name)
	if !ok {
		return nil, false, nil
	}
	wrong := &FieldError{Field: name, Value: field, Want: "a list of strings"}
	list := reflect.ValueOf(field)
	if list.Kind() != reflect.Slice {
		return nil, false, wrong
	}
	values = make([]string, list.Len())
	for n := range values {
		if values[n], ok = text(list.Index(n).Interface()); !ok {
			return nil, false, wrong
		}
	}
	return values, true, nil
}

func present(fields map[string]any, name string) (any, bool) {
	field := fields[name]
	return field, field != nil
}

func text(v any) (string, bool) {
	if _, isNumber := v.(json.Number); isNumber {
		return "", false
	}
	s := reflect.ValueOf(v)
	return s.String(), s.Kind() == reflect.String
}

// whole returns the value as an int64, if it is a whole number that int64 can hold.
func whole(v any) (int64, bool) {
	if n, ok := v.(json.Number); ok {
		return wholeNumber(n)
	}
	switch n := reflect.ValueOf(v); {
	case n.CanInt():
		return n.Int(), true
	case n.CanUint():
		return int64(n.Uint()), n.Uint() <= math.MaxInt64
	case n.CanFloat():
		f := n.Float()
		// The bounds are the limits of int64, which are powers of two that float64 holds exactly.
		return int64(f), f == math.Trunc(f) && f >= -1<<63 && f < 1<<63
	}
	return 0, false
}

// float returns the value as a float64. Otherwise it returns a description of the values it accepts.
func float(v any) (value float64, want string) {
	const (
		aNumber = "a number"
		inRange = "a number within the range of float64"
		exact   = "a number that float64 holds exactly; read it as a whole number"
	)
	if i, ok := whole(v); ok {
		f := float64(i)
		if back, same := whole(f); !same || back != i {
			return 0, exact
		}
		return f, ""
	}
	if n, ok := v.(json.Number); ok {
		if jsontext.Value(n).Kind() != jsontext.KindNumber || !jsontext.Value(n).IsValid() {
			return 0, aNumber
		}
		u, err := strconv.ParseUint(string(n), 10, 64)
		if err == nil {
			return float(u)
		}
		f, err := strconv.ParseFloat(string(n), 64)
		if err != nil || f == 0 { // an underflow, because zero itself is a whole number
			return 0, inRange
		}
		return f, ""
	}
	switch n := reflect.ValueOf(v); {
	case n.CanUint(): // beyond int64
		if f := float64(n.Uint()); f < 1<<64 && uint64(f) == n.Uint() {
			return f, ""
		}
		return 0, exact
	case n.CanFloat() && !math.IsNaN(n.Float()) && !math.IsInf(n.Float(), 0):
		return n.Float(), ""
	case n.CanFloat():
		return 0, inRange
	}
	return 0, aNumber
}

// wholeNumber parses a JSON number written as 5, 5.0 or 5e0. Its time depends on the length of the text,
// not on the exponent.
func wholeNumber(n json.Number) (int64, bool) {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i, true
	}
	if value := jsontext.Value(n); value.Kind() != jsontext.KindNumber || !value.IsValid() {
		return 0, false
	}
	mantissa, power, _ := strings.Cut(strings.ToLower(string(n)), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	before, after, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(before+after, "0")
	if strings.Trim(digits, "0") == "" {
		return 0, true
	}
	exponent := 0
	if power != "" {
		exponent, _ = strconv.Atoi(power) // beyond int, Atoi returns the limit of int, which is out of range too
	}
	if exponent > 2*MaxRoomBytes || exponent < -2*MaxRoomBytes {
		return 0, false // the digits of a record cannot compensate such an exponent
	}
	zeros := len(before) + exponent - len(digits)
	digits = strings.TrimLeft(digits, "0")
	const most = 19 // digits of an int64
	if zeros < 0 || len(digits)+zeros > most {
		return 0, false
	}
	if negative {
		digits = "-" + digits
	}
	i, err := strconv.ParseInt(digits+strings.Repeat("0", zeros), 10, 64)
	return i, err == nil
}
