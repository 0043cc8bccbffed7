package expression

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/roombus/roombus/room"
)

// maxDepth bounds the nesting of an expression. The time to check the types of nested lists grows with the
// third power of the depth; it is a second at 250, the library's default.
const maxDepth = 50

// environment returns the language for the expressions of an interface. The interfaces of an update
// have two more variables.
func environment(i room.Interface) *cel.Env {
	switch i.Event() {
	case room.EventUpdate:
		return environments().roomUpdate
	case room.EventUserUpdate:
		return environments().userUpdate
	}
	return environments().common
}

type languages struct{ common, roomUpdate, userUpdate *cel.Env }

// environments returns the standard language with the variables. They are created once, because that
// takes milliseconds.
var environments = sync.OnceValue(func() languages {
	// The library has one global "no such overload" error. It writes the position of the first occurrence
	// into it: a data race, and a wrong position for all later occurrences. Labelling it here prevents that.
	types.LabelErrNode(-1, types.NoSuchOverloadErr())

	standard, err := types.NewRegistry()
	if err != nil {
		panic(err) // only if the library is broken
	}
	env, err := cel.NewEnv(
		cel.CustomTypeProvider(provider{Provider: standard}),
		cel.CustomTypeAdapter(adapter{}),
		cel.Variable("room", roomKind.of),
		cel.Variable("user", userKind.of),
		cel.Variable("actor", userKind.of),
		cel.Variable("event", eventKind.of),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(room.MaxExpressionBytes),
		cel.ParserRecursionLimit(maxDepth),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), rules{}),
	)
	if err != nil {
		panic(err) // only if the declarations above are wrong
	}
	all := languages{
		common:     env,
		roomUpdate: withChange(env, roomKind.of),
		userUpdate: withChange(env, userKind.of),
	}
	for _, e := range []*cel.Env{all.common, all.roomUpdate, all.userUpdate} {
		listNames(e)
	}
	return all
})

// listNames compiles an unknown name. At the first one the library makes a list of all names, which other
// compilations read without a lock.
func listNames(e *cel.Env) { _, _ = e.Compile("unknown") }

// withChange adds the variables before and after.
func withChange(env *cel.Env, of *types.Type) *cel.Env {
	extended, err := env.Extend(cel.Variable("before", of), cel.Variable("after", of))
	if err != nil {
		panic(err) // only if the declarations are wrong
	}
	return extended
}

// provider adds the types of the variables to the standard types.
type provider struct {
	types.Provider
	params *kind[variables] // of a policy
}

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
	case paramsType.TypeName():
		return p.params, p.params != nil
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
