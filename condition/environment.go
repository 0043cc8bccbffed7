package condition

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/roombus/roombus/room"
)

// maxDepth bounds how deep an expression may be nested: the time it takes to check the types of
// lists in lists grows with the third power of it, to a second at the library's own 250.
const maxDepth = 50

// environment is the standard language with the four variables. It never changes; the library
// takes a millisecond to make one.
var environment = sync.OnceValue(func() *cel.Env {
	// The library has one "no such overload" error for everybody and writes into it, once, where
	// it came up first: a data race, and the wrong place for everybody after. Here nobody is first.
	types.LabelErrNode(-1, types.NoSuchOverloadErr())

	standard, err := types.NewRegistry()
	if err != nil {
		panic(err) // not before the library itself is broken
	}
	env, err := cel.NewEnv(
		cel.CustomTypeProvider(provider{standard}),
		cel.CustomTypeAdapter(adapter{}),
		cel.Variable("room", roomKind.of),
		cel.Variable("user", userKind.of),
		cel.Variable("actor", userKind.of),
		cel.Variable("event", eventKind.of),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(room.MaxConditionSize),
		cel.ParserRecursionLimit(maxDepth),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), rules{}),
	)
	if err != nil {
		panic(err) // not before the declarations above contradict each other
	}
	return env
})

// provider knows the types of the variables beside the standard ones.
type provider struct{ types.Provider }

type described interface {
	field(name string) (*types.FieldType, bool)
	fieldNames() []string
}

func (p provider) described(name string) (described, bool) {
	switch name {
	case roomKind.of.TypeName():
		return roomKind, true
	case userKind.of.TypeName():
		return userKind, true
	case eventKind.of.TypeName():
		return eventKind, true
	}
	return nil, false
}

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.described(name); ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if d, ok := p.described(name); ok {
		return d.fieldNames(), true
	}
	return p.Provider.FindStructFieldNames(name)
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if d, ok := p.described(name); ok {
		return d.field(field)
	}
	return p.Provider.FindStructFieldType(name, field)
}
