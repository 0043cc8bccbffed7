package expression

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// kind is an object type with named fields. A field is read from a T when an expression reads it.
type kind[T any] struct {
	of     *types.Type
	id     func(*T) string // two objects with the same id are equal
	fields map[string]field[T]
}

type field[T any] struct {
	of  *types.Type
	get func(*T) ref.Val
}

func objectType(name string) *types.Type {
	return types.NewObjectType(name, traits.IndexerType, traits.FieldTesterType)
}

func (k *kind[T]) object(v *T) ref.Val { return &object[T]{kind: k, v: v} }

func (k *kind[T]) fieldNames() []string { return slices.Collect(maps.Keys(k.fields)) }

// field describes a field to the library. The library passes the result of Value to IsSet and GetFrom.
func (k *kind[T]) field(name string) (*types.FieldType, bool) {
	f, ok := k.fields[name]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type: f.of,
		IsSet: func(from any) bool {
			v, ok := from.(*T)
			return ok && isSet(f.get(v))
		},
		GetFrom: func(from any) (any, error) {
			v, ok := from.(*T)
			if !ok {
				return nil, fmt.Errorf("a %T is no %s", from, k.of)
			}
			return f.get(v), nil
		},
	}, true
}

// isSet is the result of has() for a field.
func isSet(v ref.Val) bool {
	z, ok := v.(traits.Zeroer)
	return !types.IsError(v) && (!ok || !z.IsZeroValue()) // a missing document is an error
}

// object is a T as a CEL value.
type object[T any] struct {
	kind *kind[T]
	v    *T
}

func (o *object[T]) Type() ref.Type { return o.kind.of }

func (o *object[T]) Value() any { return o.v }

func (o *object[T]) IsZeroValue() bool { return o.kind.id(o.v) == "" }

// AggregateSize is the cost of a comparison: only the id is compared.
func (o *object[T]) AggregateSize(types.AggregateSizer) uint32 { return 1 }

func (o *object[T]) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object[T])
	return types.Bool(ok && o.kind.id(o.v) == o.kind.id(p.v))
}

// Get and IsSet serve values of dynamic type. For a static type the library reads fields through
// kind.field.
func (o *object[T]) Get(name ref.Val) ref.Val {
	f, ok := o.named(name)
	if !ok {
		return noField(name)
	}
	return f.get(o.v)
}

func (o *object[T]) IsSet(name ref.Val) ref.Val {
	f, ok := o.named(name)
	if !ok {
		return noField(name)
	}
	return types.Bool(isSet(f.get(o.v)))
}

// noField quotes only the beginning of a long name, because reading a field is one step.
func noField(name ref.Val) ref.Val {
	if s, ok := name.(types.String); ok {
		return types.NewErr("no such field: %.300s", string(s))
	}
	return types.NewErr("no such field: %v", name)
}

func (o *object[T]) named(name ref.Val) (field[T], bool) {
	s, _ := name.(types.String)
	f, ok := o.kind.fields[string(s)]
	return f, ok
}

func (o *object[T]) ConvertToNative(to reflect.Type) (any, error) {
	return nil, fmt.Errorf("a %s cannot be made a %s", o.kind.of, to)
}

func (o *object[T]) ConvertToType(to ref.Type) ref.Val {
	switch to {
	case types.TypeType:
		return o.kind.of
	case ref.Type(o.kind.of):
		return o
	}
	return types.NewErr("a %s cannot be made a %s", o.kind.of, to.TypeName())
}
