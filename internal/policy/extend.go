package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// field is an expression for a field.
type field struct {
	name  string
	value *expression.Expression // nil: null
}

// extend is a rule that adds custom fields and members to a room before its creation.
type extend struct {
	fields  []field
	members *expression.Expression // nil: none
}

func (c *compiler) extend(r room.ExtendRule) (rule, error) {
	var x extend
	for _, key := range slices.Sorted(maps.Keys(r.CustomFields)) {
		value, err := c.expression("extend.customFields."+key, r.CustomFields[key], expression.Any)
		if err != nil {
			return nil, err
		}
		x.fields = append(x.fields, field{key, value})
	}
	if r.Members == "" {
		return x, nil
	}
	var err error
	x.members, err = c.expression("extend.members", r.Members, expression.List)
	return x, err
}

func (x extend) apply(e *expression.Evaluation, to *says) error {
	if to.extend == nil {
		to.extend = &room.Extension{CustomFields: make(map[string]any)}
	}
	for _, f := range x.fields {
		value, err := f.value.JSON(e)
		if err != nil {
			return err
		}
		if value != nil {
			to.extend.CustomFields[f.name] = value
		}
	}
	members, err := x.users(e)
	to.extend.Members = append(to.extend.Members, members...)
	return err
}

// users returns the members. Each is a user, or the id of one.
func (x extend) users(e *expression.Evaluation) ([]room.User, error) {
	if x.members == nil {
		return nil, nil
	}
	list, err := x.members.JSON(e)
	if err != nil {
		return nil, err
	}
	all, ok := list.([]any)
	if !ok {
		return nil, errors.New("extend.members: the result is no list")
	}
	users := make([]room.User, 0, len(all))
	for n, one := range all {
		if id, isID := one.(string); isID {
			users = append(users, room.User{ID: id})
			continue
		}
		var u room.User
		data, err := room.Encode(one)
		if err == nil {
			err = room.Decode(data, &u)
		}
		if err != nil {
			return nil, fmt.Errorf("extend.members: the user at %d cannot be read: %w", n, err)
		}
		users = append(users, u)
	}
	return users, nil
}
