package expression

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/roombus/roombus/room"
)

// Condition is a compiled condition. It is safe for concurrent use.
type Condition struct {
	language   *Language
	expression *Expression
}

// Event is a pre-event that an app would be asked about.
type Event struct {
	ID   string     // of the command
	Time time.Time  // of the command
	Data *room.Data // the body of the pre-event, nil for an empty one; it is neither changed nor kept
}

// Compile checks and compiles the condition for a pre-interface. The error is that of Language.Compile.
func Compile(i room.Interface, source string) (*Condition, error) {
	label := "when: " + string(i)
	if strings.TrimSpace(source) == "" {
		return nil, refusal(label, "the expression is empty; leave it out for an app that is always to be asked")
	}
	l := ForConditions(i)
	x, err := l.Compile(label, source, Bool)
	if err != nil {
		return nil, err
	}
	return &Condition{l, x}, nil
}

// CompileAll compiles every expression of a manifest. It returns the error of the first interface, by
// name, with an invalid expression.
func CompileAll(m room.Manifest) (map[room.Interface]*Condition, error) {
	all := make(map[room.Interface]*Condition, len(m.When))
	for _, i := range slices.Sorted(maps.Keys(m.When)) {
		c, err := Compile(i, m.When[i])
		if err != nil {
			return nil, err
		}
		all[i] = c
	}
	return all, nil
}

// Holds reports whether the condition is true for an event. The error is that of Expression.Bool.
func (c *Condition) Holds(e Event) (bool, error) {
	evaluation := c.language.Evaluation(e, nil)
	defer evaluation.Close()
	return c.expression.Bool(evaluation)
}
