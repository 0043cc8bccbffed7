package roomsvc

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
)

func TestConsumer_DoneWith(t *testing.T) {
	t.Parallel()
	at := func(pending uint64, inHand int, ack jetstream.AckPolicy) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{
			NumPending: pending, NumAckPending: inHand, Config: jetstream.ConsumerConfig{AckPolicy: ack},
			Delivered: jetstream.SequenceInfo{Stream: 7}, AckFloor: jetstream.SequenceInfo{Stream: 4},
		}
	}
	parkedUntil := time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)
	parked := at(2, 3, jetstream.AckExplicitPolicy)
	parked.Config.PauseUntil = new(parkedUntil)
	paused := at(2, 3, jetstream.AckExplicitPolicy)
	paused.Config.PauseUntil = new(parkedUntil.Add(-1))
	for name, c := range map[string]struct {
		info *jetstream.ConsumerInfo
		done uint64
	}{
		"does not answer":          {nil, 0},
		"nothing to come":          {at(0, 0, jetstream.AckExplicitPolicy), 9},
		"some to come":             {at(2, 0, jetstream.AckExplicitPolicy), 4},
		"some in hand":             {at(0, 3, jetstream.AckExplicitPolicy), 4},
		"parked":                   {parked, 9},
		"paused by an operator":    {paused, 4},
		"some to come, no answers": {at(2, 0, jetstream.AckNonePolicy), 7},
	} {
		assert.Equal(t, c.done, consumer{c.info}.doneWith(9), name)
	}
}
