package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
)

// userForms is the help text of commands that take users.
const userForms = `

A user is an id, or JSON to give more than the id: '{"id":"bob","name":"Bob","roles":["admin"]}'.`

// userValue is a user as a flag or an argument. A value that begins with a brace is JSON. Other JSON is
// refused, except numbers and strings: they are ids.
type userValue room.User

func (u *userValue) String() string { return u.ID }

func (u *userValue) Set(s string) error {
	switch trimmed := strings.TrimSpace(s); {
	case strings.HasPrefix(trimmed, "["), trimmed == "null", trimmed == "true", trimmed == "false":
		asID, _ := json.Marshal(map[string]string{"id": s}) // a string
		return fmt.Errorf(`it must be an id, or JSON such as {"id":"bob","name":"Bob"}, and is other JSON; if it is an id, give it as %s`, asID)
	case !strings.HasPrefix(trimmed, "{"):
		*u = userValue{ID: s}
		return nil
	}
	var read room.User
	err := room.Decode([]byte(s), &read)
	if err == nil {
		err = read.Validate("user")
	}
	var coded *room.Error
	if errors.As(err, &coded) {
		return fmt.Errorf(`it must be an id, or JSON such as {"id":"bob","name":"Bob"}: %s`, coded.Message)
	}
	*u = userValue(read)
	return err
}

func (*userValue) Type() string { return "user" }

// userArgument reads USER, the second argument.
func userArgument(u *room.User) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := (*userValue)(u).Set(args[1]); err != nil {
			return usage(c, "invalid USER %q: %v", args[1], err)
		}
		return nil
	}
}

// optional returns nil for a flag that was not given.
func optional(u room.User) *room.User {
	if u.ID == "" {
		return nil
	}
	return &u
}
