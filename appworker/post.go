package appworker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// The waits before a worker looks for its consumer again: one that was lost, and one of an app
// that was removed.
const (
	rebindWait  = time.Second
	removedWait = 5 * time.Second
)

// receive handles post-events until the context ends. If the consumer goes away, the app is
// registered anew, which makes it again, unless an operator has removed the app.
func (w *worker) receive(ctx context.Context) {
	removed := false
	for len(w.app.tells) > 0 && ctx.Err() == nil {
		err := w.consume(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := removedWait
		if !removed {
			wait = rebindWait
			w.log.Warn("receiving post-events again", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		was := removed
		if removed = w.removed(ctx); removed {
			if !was {
				w.log.Warn("the app has been removed; a worker that is started registers it again")
			}
			continue
		}
		if err := w.register(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("cannot register again", "error", err)
		}
	}
}

// removed reports whether the room service says that there is no such app.
func (w *worker) removed(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	_, err := w.rooms.App(ctx, w.app.Manifest.ID)
	return errors.Is(err, &room.Error{Code: room.CodeAppNotFound})
}

// consume handles events from the app's durable until the context or the consumer ends. It
// returns when no handler takes another event; those that run go on.
func (w *worker) consume(ctx context.Context) error {
	consumer, err := w.js.Consumer(ctx, subjects.Events, subjects.Durable(w.app.Manifest.ID))
	if err != nil {
		return fmt.Errorf("finding the app's consumer: %w", err)
	}
	deadline := consumer.CachedInfo().Config.AckWait
	lost := make(chan error, 1)
	events, err := consumer.Consume(func(msg jetstream.Msg) {
		select {
		case w.postSlots <- struct{}{}:
		case <-ctx.Done():
			_ = msg.Nak() // not begun: another worker may have it at once, or later
			return
		}
		w.telling.Go(func() {
			defer func() { <-w.postSlots }()
			_ = msg.InProgress() // it may have waited for its turn: its time begins now
			handling, cancel := context.WithTimeout(w.stopping, deadline)
			defer cancel()
			w.tell(handling, msg)
		})
	}, jetstream.PullMaxMessages(w.cfg.Concurrency), jetstream.ConsumeErrHandler(func(cc jetstream.ConsumeContext, err error) {
		select {
		case lost <- err:
			cc.Stop()
		default:
		}
	}))
	if err != nil {
		return fmt.Errorf("receiving post-events: %w", err)
	}
	select {
	case <-ctx.Done():
		events.Drain()
		<-events.Closed()
		return nil
	case err := <-lost: // whatever it is, finding the consumer again shows whether it is there
		return fmt.Errorf("receiving post-events: %w", err)
	}
}

// tell handles one event and acknowledges it as the handler says.
func (w *worker) tell(ctx context.Context, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		w.log.Error("a message without metadata", "subject", msg.Subject(), "error", err)
		return
	}
	e, err := subjects.DecodePost(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	if err != nil {
		err = Discard(err) // the room service has quarantined it too
	} else {
		err = w.app.Tell(ctx, w.rooms, w.interfaceOf(e.Type), msg.Data(), e.Ref())
	}
	if err != nil {
		w.logFailure(err, w.interfaceOf(e.Type), e.ID)
	}
	if err := acknowledge(msg, meta.NumDelivered, err); err != nil {
		w.log.Warn("cannot acknowledge; the event will come again", "event", e.ID, "error", err)
	}
}

func acknowledge(msg jetstream.Msg, delivered uint64, err error) error {
	var retry *RetryError
	var discarded *DiscardError
	switch {
	case err == nil:
		return msg.Ack()
	case errors.As(err, &discarded):
		return msg.TermWithReason(discarded.Error())
	case errors.As(err, &retry):
		return msg.NakWithDelay(retry.After)
	}
	return msg.NakWithDelay(retryDelay(delivered))
}

// interfaceOf is the post-interface that an event type is told on.
func (w *worker) interfaceOf(e room.EventType) room.Interface {
	for i := range w.app.tells {
		if i.Event() == e {
			return i
		}
	}
	return ""
}

// finishPostEvents waits for the handlers that run.
func (w *worker) finishPostEvents(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		w.telling.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("post-event handlers were still running after %s", w.cfg.DrainTimeout)
	}
	if !w.nc.IsConnected() {
		return nil
	}
	return w.nc.FlushWithContext(ctx)
}
