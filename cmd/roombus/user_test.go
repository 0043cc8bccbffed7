package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

func TestUserValue(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]room.User{
		"bob":                 {ID: "bob"},
		"42":                  {ID: "42"},
		`"quoted"`:            {ID: `"quoted"`},
		"nullify":             {ID: "nullify"},
		`{"id":"{bob"}`:       {ID: "{bob"},
		"\n" + `{"id":"bob"}`: {ID: "bob"},
		`{"id":"bob","username":"bobby","name":"Bob","roles":["admin"],"attributes":{"age":7}}`: {
			ID: "bob", Username: "bobby", Name: "Bob", Roles: []string{"admin"}, Attributes: map[string]any{"age": json.Number("7")},
		},
	} {
		var u userValue
		require.NoError(t, u.Set(given))
		assert.Equal(t, want, room.User(u))
	}
	for given, says := range map[string]string{
		`["bob"]`:                `and is other JSON; if it is an id, give it as {"id":"[\"bob\"]"}`,
		`[bot] bob`:              `if it is an id, give it as {"id":"[bot] bob"}`,
		` []`:                    `and is other JSON`,
		`null`:                   `and is other JSON`,
		`true`:                   `and is other JSON`,
		`{bob`:                   `it must be an id, or JSON such as {"id":"bob","name":"Bob"}: the body is not JSON`,
		`{"name":"Bob"}`:         "user.id is required",
		`{"id":"bob","nick":""}`: `nick`,
	} {
		u := userValue{ID: "before"}
		require.ErrorContains(t, u.Set(given), says)
		assert.Equal(t, "before", u.ID)
	}
}
