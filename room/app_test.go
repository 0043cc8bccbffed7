package room_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/room"
)

func TestFigures_AddKeepsTheLaterFailure(t *testing.T) {
	t.Parallel()
	earlier, later := &room.Failure{Time: at, Command: "c1"}, &room.Failure{Time: at.Add(1), Command: "c2"}
	for _, c := range []struct{ of, other, want *room.Failure }{
		{nil, nil, nil}, {earlier, nil, earlier}, {nil, earlier, earlier}, {earlier, later, later}, {later, earlier, later},
	} {
		f := room.Figures{LastFailure: c.of}
		f.Add(room.Figures{LastFailure: c.other})
		assert.Equal(t, c.want, f.LastFailure)
	}
}

func TestWaiting_IsStuck(t *testing.T) {
	t.Parallel()
	const ackWait = 30 * time.Second
	old, recent := &room.WaitingEvent{Time: at.Add(-31 * time.Second)}, &room.WaitingEvent{Time: at.Add(-29 * time.Second)}
	for name, c := range map[string]struct {
		waiting room.Waiting
		stuck   bool
	}{
		"full and old":         {room.Waiting{AckPending: 10, MaxAckPending: 10, Oldest: old}, true},
		"full and recent":      {room.Waiting{AckPending: 10, MaxAckPending: 10, Oldest: recent}, false},
		"not full":             {room.Waiting{AckPending: 9, MaxAckPending: 10, Oldest: old}, false},
		"bound lowered":        {room.Waiting{AckPending: 10, MaxAckPending: 5, Oldest: old}, true},
		"without a bound":      {room.Waiting{AckPending: 10, Oldest: old}, false},
		"nothing waits":        {room.Waiting{MaxAckPending: 10}, false},
		"no post-interface":    {room.Waiting{}, false},
		"acknowledged by then": {room.Waiting{AckPending: 10, MaxAckPending: 10}, false},
	} {
		assert.Equal(t, c.stuck, c.waiting.IsStuck(at, ackWait), name)
	}
}
