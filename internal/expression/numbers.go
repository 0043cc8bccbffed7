package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

const (
	maxWhole = len("18446744073709551615") // digits of a 64-bit number
	// maxNumber bounds the characters of a number that is read, because reading it is one step.
	maxNumber = 1024
	// maxDigits is the number of digits of a number that are read. For the nearest double, only the
	// existence of further digits matters.
	maxDigits = 800
	// farExponent is so large that the digits of a number in a message cannot compensate it.
	farExponent = 1 << 30
)

// fromNumber returns the CEL value of a number. The notation does not matter: 5, 5.0 and 5e0 are the same.
// It returns an int or, beyond int, a uint for a whole number of 64 bits, and the nearest double for a
// fraction. A number that none of them can hold is an error. The time depends on the length of the text,
// up to maxNumber, not on the exponent.
func fromNumber(n json.Number) ref.Val {
	if len(n) < maxWhole {
		if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
			return types.Int(i)
		}
	}
	if len(n) > maxNumber {
		return types.NewErr("number %s is too long: at most %d characters are read", shortened(n), maxNumber)
	}
	d, err := parseDecimal(string(n))
	if err != nil {
		return types.NewErr("%q is no number", shortened(n))
	}
	if d.point >= d.count {
		return d.whole(n)
	}
	f, err := strconv.ParseFloat(d.sign+"0."+d.digits+"e"+strconv.Itoa(d.point), 64)
	switch {
	case math.IsInf(f, 0):
		return types.NewErr("number %s is too large for a double", shortened(n))
	case err != nil:
		return types.NewErr("%q is no number", shortened(n))
	}
	return types.Double(f)
}

// decimal is a parsed number: 0.digits times ten to the power of point. The digits neither begin nor
// end with a zero. If there are more than maxDigits, a 1 replaces the further digits.
type decimal struct {
	sign   string
	digits string
	count  int // of all digits
	point  int
}

func parseDecimal(s string) (d decimal, err error) {
	s, negative := strings.CutPrefix(s, "-")
	if negative {
		d.sign = "-"
	}
	for _, e := range "eE" {
		if at := strings.IndexByte(s, byte(e)); at >= 0 {
			if d.point, err = parseExponent(s[at+1:]); err != nil {
				return d, err
			}
			s = s[:at]
		}
	}
	before, after, _ := strings.Cut(s, ".")
	before, after = strings.TrimLeft(before, "0"), strings.TrimRight(after, "0")
	d.point += len(before)
	if before == "" {
		d.point -= len(after)
		after = strings.TrimLeft(after, "0")
		d.point += len(after)
	}
	if after == "" {
		before = strings.TrimRight(before, "0")
	}
	d.count = len(before) + len(after)
	d.digits = before[:min(len(before), maxDigits)] + after[:min(len(after), maxDigits)]
	switch {
	case d.count == 0:
		d.point = 0
	case d.count > maxDigits:
		d.digits = d.digits[:maxDigits] + "1"
	}
	return d, nil
}

func (d decimal) whole(n json.Number) ref.Val {
	if d.count == 0 {
		return types.IntZero
	}
	if d.point <= maxWhole {
		text := d.sign + d.digits + strings.Repeat("0", d.point-d.count)
		i, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			return types.Int(i)
		}
		if errors.Is(err, strconv.ErrSyntax) {
			return types.NewErr("%q is no number", shortened(n))
		}
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			return types.Uint(u)
		}
	}
	return types.NewErr("whole number %s is beyond 64 bits", shortened(n))
}

func parseExponent(s string) (int, error) {
	digits, negative := strings.CutPrefix(s, "-")
	digits = strings.TrimPrefix(digits, "+")
	digits = strings.TrimLeft(digits, "0")
	exponent := farExponent
	if len(digits) < 10 {
		var err error
		if exponent, err = strconv.Atoi("0" + digits); err != nil {
			return 0, err
		}
	}
	if negative {
		return -exponent, nil
	}
	return exponent, nil
}

// shortened returns the number for an error text.
func shortened(n json.Number) string {
	const most = 40
	if len(n) <= most {
		return n.String()
	}
	return fmt.Sprintf("%.*s… (%d characters)", most, n.String(), len(n))
}

// mustCompare cancels the evaluation if compared lists or maps contain a number that fromNumber cannot
// convert. The library would treat such an element as equal, or as not equal. mustCompare is called after
// the comparison, when the elements have been added to the cost.
func mustCompare(function string, args []ref.Val, result ref.Val) {
	switch function {
	case operators.Equals, operators.NotEquals:
		if !isContainer(args[0]) || !isContainer(args[1]) {
			return
		}
	case operators.In:
		if isSearchedInOneStep(args[1]) {
			return // it has no such number
		}
		if _, list := args[1].(traits.Lister); !list || result == types.True && !isContainer(args[0]) {
			return
		}
	default:
		return
	}
	for _, a := range args {
		if err := unusable(a); err != nil {
			panic(interpreter.EvalCancelledError{Message: err.Error()}) // as the library does when the cost limit is exceeded
		}
	}
}

// unusable returns the error of the first number in a value, at any depth, that fromNumber cannot
// convert, or nil.
func unusable(v any) error {
	switch v := v.(type) {
	case *types.Err:
		return v
	case json.Number:
		if err, is := fromNumber(v).(*types.Err); is {
			return err
		}
	case []any:
		return firstUnusable(v)
	case []ref.Val:
		return firstUnusable(v)
	case map[string]any:
		for _, of := range v {
			if err := unusable(of); err != nil {
				return err
			}
		}
	case map[ref.Val]ref.Val:
		for _, of := range v {
			if err := unusable(of); err != nil {
				return err
			}
		}
	case traits.Lister:
		return unusable(v.Value())
	case traits.Mapper:
		return unusable(v.Value())
	}
	return nil
}

func firstUnusable[T any](list []T) error {
	for _, v := range list {
		if err := unusable(v); err != nil {
			return err
		}
	}
	return nil
}
