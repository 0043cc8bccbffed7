package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// advisory is what the server says when a consumer gives a message up.
type advisory struct {
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	StreamSeq  uint64 `json:"stream_seq"`
	Deliveries uint64 `json:"deliveries"`
}

// errGivenUp is why such a message is a dead letter. Workers that use the SDK do not let it
// come to that; others may, and so may those that die too often.
var errMaxDeliveries = errors.New("it was delivered as often as it may be, and never acknowledged")

const (
	deadLettererName  = subjects.ServiceQueue
	deadLettererRetry = 5 * time.Second
)

// buryGivenUp makes dead letters of the post-events that the server has given up, until the
// context ends. What the server says of them is kept in a stream, so that it does not matter
// whether a service was there to hear it; any one of the services takes a word of it.
func (s *Service) deadLetterUndelivered(ctx context.Context) {
	var outage bus.Outage
	for ctx.Err() == nil {
		consuming, err := s.deadLetterAll(ctx, &outage)
		if ctx.Err() != nil {
			return
		}
		if !consuming { // otherwise the next try tells
			s.deadLetteringFailed(&outage, err)
		}
		select {
		case <-time.After(deadLettererRetry):
		case <-ctx.Done():
		}
	}
}

// notBuried takes note of a failure.
func (s *Service) deadLetteringFailed(outage *bus.Outage, err error) {
	if !s.isUnavailable() && outage.Failed(time.Now()) {
		s.log.Warn("events that the server gives up are not made dead letters; trying again", "error", err)
	}
}

// buried takes note that there is no failure.
func (s *Service) deadLetteringWorks(outage *bus.Outage) {
	if lasted, log := outage.Ended(time.Now()); log {
		s.log.Info("events that the server gives up are made dead letters again", "outage", lasted.Round(time.Millisecond))
	}
}

// buryAll reports whether it could begin.
func (s *Service) deadLetterAll(ctx context.Context, outage *bus.Outage) (consuming bool, err error) {
	consumer, err := s.js.CreateOrUpdateConsumer(ctx, subjects.GivenUp, jetstream.ConsumerConfig{
		Durable:     deadLettererName,
		Description: "room services make dead letters of these",
		AckPolicy:   jetstream.AckExplicitPolicy,
		AckWait:     durableAckWait,
	})
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	s.deadLetteringWorks(outage)
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return true, err
		}
		if err := s.deadLetter(ctx, msg.Data()); err != nil {
			s.deadLetteringFailed(outage, fmt.Errorf("advisory %s: %w", msg.Data(), err))
			_ = msg.NakWithDelay(deadLettererRetry) // if it does not get through, it comes again later
			continue
		}
		s.deadLetteringWorks(outage)
		_ = msg.Ack() // likewise
	}
}

// bury makes the dead letter of what an advisory is about. An app that is gone, or an event that
// is, leaves none.
func (s *Service) deadLetter(ctx context.Context, data []byte) error {
	var a advisory
	if err := json.Unmarshal(data, &a); err != nil {
		s.log.Error("what should be an advisory is none", "error", err)
		return nil
	}
	if err := s.apps.awaitSync(ctx); err != nil {
		return err
	}
	if _, ok := s.apps.get(a.Consumer); !ok {
		return nil
	}
	stream := s.stream
	if a.Stream == subjects.Replays {
		stream = s.replays
	}
	consumer, err := stream.Consumer(ctx, a.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at consumer %s of %s: %w", a.Consumer, a.Stream, err)
	}
	msg, err := stream.GetMsg(ctx, a.StreamSeq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading message %d of %s: %w", a.StreamSeq, a.Stream, err)
	}
	of := subjects.Delivered{Subject: msg.Subject, Headers: msg.Header, Data: msg.Data, Seq: msg.Sequence}
	if a.Stream == subjects.Replays {
		of, _ = subjects.Origin(msg.Header, msg.Data) // what is none is a dead letter as well
	}
	subject, headers := subjects.EncodeDead(a.Consumer, of, errMaxDeliveries, a.Deliveries)
	letter := &nats.Msg{Subject: subject, Header: headers, Data: of.Data}
	if _, err := s.js.PublishMsg(ctx, letter, jetstream.WithMsgID(subjects.DeadID(a.Consumer, a.Stream, consumer.CachedInfo().Created, a.StreamSeq))); err != nil {
		return fmt.Errorf("storing the dead letter: %w", err)
	}
	s.log.Error("an event is a dead letter", "app", a.Consumer, "event", headers[subjects.ID], "seq", of.Seq, "attempts", a.Deliveries, "error", errMaxDeliveries)
	if a.Stream == subjects.Replays {
		return stream.DeleteMsg(ctx, a.StreamSeq) // nobody takes it out otherwise
	}
	return nil
}
