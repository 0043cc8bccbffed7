package policy

import (
	"fmt"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// deny is a rule that may deny.
type deny struct {
	holds  *expression.Expression
	text   string
	reason *expression.Expression // nil: the text
}

func (c *compiler) deny(r room.Rule) (rule, error) {
	holds, err := c.expression("deny", r.Deny, expression.Bool)
	if err != nil {
		return nil, err
	}
	d := deny{holds: holds, text: r.Reason}
	if r.ReasonExpression != "" {
		if d.reason, err = c.expression("reasonExpression", r.ReasonExpression, expression.String); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d deny) apply(e *expression.Evaluation, to *says) error {
	denied, err := d.holds.Bool(e)
	if err != nil || !denied {
		return err
	}
	to.denies, to.reason = true, d.text
	if d.reason == nil {
		return nil
	}
	if to.reason, err = d.reason.Text(e); err != nil { // a denial is not dropped because of its text
		to.reason = fmt.Sprintf("denied; the reason cannot be evaluated: %v", err)
	}
	return nil
}

// warn is a rule that may warn.
type warn struct{ text *expression.Expression }

func (w warn) apply(e *expression.Evaluation, to *says) error {
	text, err := w.text.Text(e)
	if err == nil && text != "" {
		to.warnings = append(to.warnings, text)
	}
	return err
}
