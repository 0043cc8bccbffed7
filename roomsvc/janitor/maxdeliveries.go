package janitor

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

// advisory is what the server publishes when a message has reached the max deliveries of a
// consumer.
type advisory struct {
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	StreamSeq  uint64 `json:"stream_seq"`
	Deliveries uint64 `json:"deliveries"`
}

// errMaxDeliveries is the error in such a dead letter. Workers of the SDK write their dead letters
// before. Other workers do not, and a worker that keeps crashing cannot.
var errMaxDeliveries = errors.New("max deliveries reached without an acknowledgement")

const (
	deadLettererName    = subjects.ServiceQueue
	deadLettererRetry   = 5 * time.Second
	deadLettererAckWait = 30 * time.Second // then another service gets the advisory
)

// deadLetterer writes dead letters of post-events that have reached their max deliveries. A stream
// keeps the advisories, so that none is lost while no service runs. Each advisory is processed by
// one of the services.
type deadLetterer struct {
	cfg    Config
	outage bus.Outage
}

// run writes dead letters until the context ends.
func (d *deadLetterer) run(ctx context.Context) {
	for {
		consuming, err := d.consume(ctx)
		if ctx.Err() != nil {
			return
		}
		if !consuming { // else the next try logs the outcome
			d.failed(err)
		}
		if !bus.Sleep(ctx, deadLettererRetry) {
			return
		}
	}
}

// failed records and logs a failure.
func (d *deadLetterer) failed(err error) {
	if !d.cfg.IsUnavailable() && d.outage.Failed(time.Now()) {
		d.cfg.Logger.Warn("cannot write dead letters of events after max deliveries; retrying", "error", err)
	}
}

// works records that the failure has ended.
func (d *deadLetterer) works() {
	if lasted, log := d.outage.Ended(time.Now()); log {
		d.cfg.Logger.Info("dead letters of events after max deliveries written again", "outage", lasted.Round(time.Millisecond))
	}
}

// consume processes advisories until an error. It reports whether it could begin.
func (d *deadLetterer) consume(ctx context.Context) (consuming bool, err error) {
	consumer, err := d.cfg.JetStream.CreateOrUpdateConsumer(ctx, subjects.GivenUp, jetstream.ConsumerConfig{
		Durable:     deadLettererName,
		Description: "room services write dead letters of these",
		AckPolicy:   jetstream.AckExplicitPolicy,
		AckWait:     deadLettererAckWait,
	})
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	d.works()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return true, err
		}
		if err := d.deadLetter(ctx, msg.Data()); err != nil {
			d.failed(fmt.Errorf("advisory %s: %w", msg.Data(), err))
			_ = msg.NakWithDelay(deadLettererRetry) // if the nak is lost, the advisory is redelivered later
			continue
		}
		d.works()
		_ = msg.Ack() // if the ack is lost, the advisory is redelivered
	}
}

// deadLetter writes the dead letter for an advisory. It writes none if the app, its consumer or the
// event is gone.
func (d *deadLetterer) deadLetter(ctx context.Context, data []byte) error {
	var a advisory
	if err := json.Unmarshal(data, &a); err != nil {
		d.cfg.Logger.Error("invalid max-deliveries advisory", "error", err)
		return nil
	}
	registered, err := d.cfg.IsRegistered(ctx, a.Consumer)
	if err != nil {
		return err
	}
	if !registered {
		return nil
	}
	stream := d.cfg.Events
	if a.Stream == subjects.Replays {
		stream = d.cfg.Replays
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
		of, _ = subjects.Origin(msg.Header, msg.Data) // an invalid replay becomes a dead letter too
	}
	subject, headers := subjects.EncodeDead(a.Consumer, of, errMaxDeliveries, a.Deliveries)
	letter := &nats.Msg{Subject: subject, Header: headers, Data: of.Data}
	if _, err := d.cfg.JetStream.PublishMsg(ctx, letter, jetstream.WithMsgID(subjects.DeadID(a.Consumer, a.Stream, consumer.CachedInfo().Created, a.StreamSeq))); err != nil {
		return fmt.Errorf("storing the dead letter: %w", err)
	}
	d.cfg.Logger.Error("an event is a dead letter", "app", a.Consumer, "event", headers[subjects.ID], "seq", of.Seq, "attempts", a.Deliveries, "error", errMaxDeliveries)
	if a.Stream == subjects.Replays {
		return stream.DeleteMsg(ctx, a.StreamSeq) // the work queue would keep it
	}
	return nil
}
