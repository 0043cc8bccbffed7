package policy

import (
	"maps"
	"slices"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// modify is a rule that changes fields of a room before its creation.
type modify []field

func (c *compiler) modify(r map[string]*room.Expression) (rule, error) {
	var m modify
	for _, name := range slices.Sorted(maps.Keys(r)) {
		f := field{name: name}
		if source := r[name]; source != nil {
			var err error
			if f.value, err = c.expression("modify."+name, *source, expression.Any); err != nil {
				return nil, err
			}
		}
		m = append(m, f)
	}
	return m, nil
}

func (m modify) apply(e *expression.Evaluation, to *says) error {
	if to.modify == nil {
		to.modify = make(map[string]any)
	}
	for _, f := range m {
		if f.value == nil {
			to.modify[f.name] = nil
			continue
		}
		value, err := f.value.JSON(e)
		if err != nil {
			return err
		}
		to.modify[f.name] = value
	}
	return nil
}
