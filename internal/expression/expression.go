package expression

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Expression is a compiled expression. It is safe for concurrent use.
type Expression struct {
	label    string
	estimate uint64
	program  cel.Program
	source   *ast.SourceInfo
}

// Estimate returns the estimated maximum cost of an evaluation for a room with 1,000 members, in steps.
func (x *Expression) Estimate() uint64 { return x.estimate }

// Bool returns the result of an expression that is Bool. An error means that the evaluation failed: the
// expression reads an absent key or document, compares values that cannot be compared, or exceeds
// MaxCost, which gives ErrTooCostly.
func (x *Expression) Bool(e *Evaluation) (bool, error) {
	out, err := x.eval(e)
	return err == nil && out.Value() == true, err
}

// Text returns the result of an expression that is String.
func (x *Expression) Text(e *Evaluation) (string, error) {
	out, err := x.eval(e)
	if err != nil {
		return "", err
	}
	text, _ := out.(types.String)
	return string(text), nil
}

// JSON returns the result of any expression as a value that encodes as JSON. It may share data with the
// event and the documents.
func (x *Expression) JSON(e *Evaluation) (any, error) {
	out, err := x.eval(e)
	if err != nil {
		return nil, err
	}
	v, err := toJSON(out)
	if err != nil {
		return nil, x.failure(err)
	}
	return v, nil
}

func (x *Expression) eval(e *Evaluation) (ref.Val, error) {
	out, _, err := x.program.Eval(e.frame)
	if err != nil {
		return nil, x.failure(err)
	}
	return out, nil
}
