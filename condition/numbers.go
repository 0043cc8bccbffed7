package condition

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
	// maxDigits is how many digits of a number are looked at: more make no difference to the nearest
	// double, but for whether there are any.
	maxDigits = 800
	// farExponent is beyond every exponent that a number in a message can make up for by its digits.
	farExponent = 1 << 30
)

// fromNumber is the value of a number however it is written, so that 5, 5.0 and 5e0 are the same:
// an int for a whole number of 64 bits with a sign, a uint for one without, and the nearest double
// for a fraction. A number that none of them can hold is an error, never another number. The time
// that it takes grows with the number's text, not with its exponent.
func fromNumber(n json.Number) ref.Val {
	if len(n) < maxWhole {
		if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
			return types.Int(i)
		}
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

// decimal is a number taken apart: 0.digits times ten to the point. The digits neither begin nor
// end with a zero. If there are more than maxDigits of them, a 1 stands for those beyond.
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
	before, after = trimZeros(before, strings.CutPrefix), trimZeros(after, strings.CutSuffix)
	d.point += len(before)
	if before == "" {
		d.point -= len(after)
		after = trimZeros(after, strings.CutPrefix)
		d.point += len(after)
	}
	if after == "" {
		before = trimZeros(before, strings.CutSuffix)
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
	digits = trimZeros(digits, strings.CutPrefix)
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

// zeros are cut off many at a time: somebody may have written 60,000.
var zeros = [...]string{strings.Repeat("0", 1024), strings.Repeat("0", 32), "0"}

func trimZeros(s string, cut func(s, zeros string) (string, bool)) string {
	for _, some := range zeros {
		for found := true; found; {
			s, found = cut(s, some)
		}
	}
	return s
}

// shortened is a number as an error quotes it.
func shortened(n json.Number) string {
	const most = 40
	if len(n) <= most {
		return n.String()
	}
	return fmt.Sprintf("%.*s… (%d characters)", most, n.String(), len(n))
}

// mustCompare ends the evaluation if lists or maps were compared in which a number stands that
// fromNumber has no value for: the library takes an error in them for equal, or for not equal. It
// is called after the comparison, with what lies in them paid for.
func mustCompare(function string, args []ref.Val, result ref.Val) {
	switch function {
	case operators.Equals, operators.NotEquals:
		if !isContainer(args[0]) || !isContainer(args[1]) {
			return
		}
	case operators.In:
		if _, list := args[1].(traits.Lister); !list || result == types.True && !isContainer(args[0]) {
			return
		}
	default:
		return
	}
	for _, a := range args {
		if err := unusable(a); err != nil {
			panic(interpreter.EvalCancelledError{Message: err.Error()}) // as the library ends one that costs too much
		}
	}
}

// unusable is the error of the first number in a value, however deep, that fromNumber has no value
// for; nil if there is none.
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
