package expression

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

var paramsType = objectType("Params")

// paramsKind returns the type of the variable params: an object with a field for each document.
func paramsKind(names []string) *kind[variables] {
	k := &kind[variables]{of: paramsType, id: func(*variables) string { return "params" }, fields: make(map[string]field[variables])}
	for _, name := range names {
		k.fields[name] = field[variables]{of: types.DynType, get: func(v *variables) ref.Val { return v.params.get(name) }}
	}
	return k
}

// get returns the value of a document. A missing document is an error.
func (p Params) get(name string) ref.Val {
	if d := p[name]; d != nil {
		return d.value
	}
	return types.NewErr("there is no document %[1]q; put one: roombus param put %[1]s FILE", name)
}
