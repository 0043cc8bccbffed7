package expression

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"github.com/roombus/roombus/room"
)

// ErrTooCostly is returned when an evaluation was cancelled because it exceeded MaxCost.
var ErrTooCostly = fmt.Errorf("given up: it costs more than %d steps", MaxCost)

// maxMessage bounds an error so that it fits on a line of a terminal and into a header, for quoted names
// and keys of any length.
const maxMessage = 300 // bytes

func refusal(label, message string) error {
	return room.Errorf(room.CodeInvalidRequest, "%s: %s", label, oneLine(message))
}

func (x *Expression) failure(err error) error {
	var cancelled interpreter.EvalCancelledError
	if errors.Is(err, ErrTooCostly) || errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded {
		return fmt.Errorf("%s: %w", x.label, ErrTooCostly)
	}
	return fmt.Errorf("%s: %s", x.label, oneLine(located(x.source, err)))
}

// firstOf returns the error with the first position. Later errors are often consequences of the first.
func firstOf(issues *cel.Issues) string {
	first := slices.MinFunc(issues.Errors(), func(a, b *cel.Error) int {
		return cmp.Or(cmp.Compare(a.Location.Line(), b.Location.Line()), cmp.Compare(a.Location.Column(), b.Location.Column()))
	})
	return at(first.Location, first.Message)
}

// located prefixes an error with its position in the expression, if the error has one.
func located(source *ast.SourceInfo, err error) string {
	var failed *types.Err
	if errors.As(err, &failed) {
		return at(source.GetStartLocation(failed.NodeID()), failed.String())
	}
	return err.Error()
}

func at(l common.Location, message string) string {
	if l.Line() < 1 {
		return message
	}
	return fmt.Sprintf("%d:%d: %s", l.Line(), l.Column()+1, message)
}

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune { // Map also replaces invalid UTF-8
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
