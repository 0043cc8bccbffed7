package consumer

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/appworker/internal/ordering"
	"github.com/roombus/roombus/room"
)

var (
	errFailed    = errors.New("failed")
	errHopeless  = errors.New("hopeless")
	errNotBefore = errors.New("not before a minute")
)

// outcomes is an App whose handlers return the errors above.
type outcomes struct{ App }

func (outcomes) Discards(err error) bool { return errors.Is(err, errHopeless) }

func (outcomes) RetryAfter(err error) (time.Duration, bool) {
	return time.Minute, errors.Is(err, errNotBefore)
}

func TestDecideAck(t *testing.T) {
	t.Parallel()
	m := room.Manifest{MaxAttempts: new(3)}
	last := uint64(m.Deliveries())
	lost := fmt.Errorf("%w: %w", errLeaseLost, errHopeless)
	for name, row := range map[string]struct {
		err      error
		attempt  uint64
		untried  uint64
		invalid  error
		decision ackDecision
	}{
		"handled":                       {attempt: 1, decision: ackDecision{ack: true}},
		"handled at the last delivery":  {attempt: last, decision: ackDecision{ack: true}},
		"lease lost":                    {err: lost, attempt: 1, decision: ackDecision{noAck: true}},
		"failed once":                   {err: errFailed, attempt: 1, decision: ackDecision{retryAfter: time.Second}},
		"failed twice":                  {err: errFailed, attempt: 2, decision: ackDecision{retryAfter: 2 * time.Second}},
		"failed, earlier ones untried":  {err: errFailed, attempt: 3, untried: 2, decision: ackDecision{retryAfter: time.Second}},
		"failed as often as allowed":    {err: errFailed, attempt: 3, decision: ackDecision{deadLetter: errFailed}},
		"failed at the last delivery":   {err: errFailed, attempt: last, untried: last - 1, decision: ackDecision{deadLetter: errFailed}},
		"with a delay":                  {err: errNotBefore, attempt: 1, decision: ackDecision{retryAfter: time.Minute}},
		"with a delay, too often":       {err: errNotBefore, attempt: 3, decision: ackDecision{deadLetter: errNotBefore}},
		"discarded":                     {err: errHopeless, attempt: 1, decision: ackDecision{deadLetter: errHopeless}},
		"invalid":                       {err: errFailed, attempt: 1, invalid: errFailed, decision: ackDecision{deadLetter: errFailed}},
		"not implemented":               {err: errNotImplemented, attempt: 3, decision: ackDecision{retryAfter: 4 * time.Second}},
		"not implemented, last":         {err: errNotImplemented, attempt: last, decision: ackDecision{deadLetter: errNotImplemented}},
		"never acknowledged by workers": {err: errNeverAcked, attempt: last, decision: ackDecision{deadLetter: errNeverAcked}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &delivery{Position: ordering.Position{Attempt: row.attempt, Untried: row.untried}, invalid: row.invalid}
			assert.Equal(t, row.decision, decideAck(row.err, d, m, outcomes{}))
		})
	}
}
