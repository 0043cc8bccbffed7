package janitor_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/roomsvc/janitor"
)

// A history may be removed up to the sequence up to which every consumer is done. The test uses
// synctest's fake clock.
func TestRetention_WaitsForConsumer(t *testing.T) {
	t.Parallel()
	at := func(pending uint64, inHand int, ack jetstream.AckPolicy) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{
			Name: "c", NumPending: pending, NumAckPending: inHand, Config: jetstream.ConsumerConfig{AckPolicy: ack},
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
		"does not answer":          {&jetstream.ConsumerInfo{}, 0},
		"nothing to come":          {at(0, 0, jetstream.AckExplicitPolicy), 9},
		"some to come":             {at(2, 0, jetstream.AckExplicitPolicy), 4},
		"some in hand":             {at(0, 3, jetstream.AckExplicitPolicy), 4},
		"parked":                   {parked, 9},
		"paused by an operator":    {paused, 4},
		"some to come, no answers": {at(2, 0, jetstream.AckNonePolicy), 7},
	} {
		synctest.Test(t, func(t *testing.T) {
			floor := make(deletedRoom)
			j := janitor.New(janitor.Config{
				JetStream: unavailable{}, Events: stream{consumer: c.info}, Rooms: floor,
				IsUnavailable: func() bool { return true }, Logger: slog.New(slog.DiscardHandler),
			})
			ctx, cancel := context.WithCancel(t.Context())
			go j.Run(ctx)
			assert.Equal(t, c.done, <-floor, name)
			cancel()
		})
	}
}

// deletedRoom receives the sequence up to which events may be removed.
type deletedRoom chan uint64

func (d deletedRoom) Due(_ time.Time, floor uint64) (roomID string, seq uint64, due bool) {
	if floor == math.MaxUint64 {
		return "r", 1, true
	}
	d <- floor
	return "", 0, false
}

func (deletedRoom) Forget(string, uint64) {}

// unavailable has no stream of advisories.
type unavailable struct{ jetstream.JetStream }

func (unavailable) CreateOrUpdateConsumer(context.Context, string, jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	return nil, errors.New("unavailable")
}

// stream has nine messages and one consumer. The consumer's info is as the server lists it: without
// a name if the consumer does not answer.
type stream struct {
	jetstream.Stream
	consumer *jetstream.ConsumerInfo
}

func (stream) Info(context.Context, ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	return &jetstream.StreamInfo{State: jetstream.StreamState{LastSeq: 9}}, nil
}

func (stream) ConsumerNames(context.Context) jetstream.ConsumerNameLister { return listed[string]{"c"} }

func (s stream) ListConsumers(context.Context) jetstream.ConsumerInfoLister {
	return listed[*jetstream.ConsumerInfo]{s.consumer}
}

// listed is a list with one entry, of the name or the info of a consumer.
type listed[T any] struct{ entry T }

func (l listed[T]) all() <-chan T {
	c := make(chan T, 1)
	c <- l.entry
	close(c)
	return c
}

func (l listed[T]) Name() <-chan T { return l.all() }
func (l listed[T]) Info() <-chan T { return l.all() }
func (listed[T]) Err() error       { return nil }
