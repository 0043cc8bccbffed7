package appworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// subscribe takes this worker's place in the queue group of the app, for every pre-interface
// it implements. The server knows when it returns.
func (w *worker) subscribe() ([]*nats.Subscription, error) {
	var subs []*nats.Subscription
	for i := range w.app.asks {
		subject := subjects.Pre(i, w.app.Manifest.ID)
		sub, err := w.nc.QueueSubscribe(subject, subjects.AppQueue(w.app.Manifest.ID), w.asked(i))
		if err != nil {
			return nil, fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	if !w.nc.IsConnected() {
		return subs, nil // the server gets to know when it is there
	}
	if err := w.nc.Flush(); err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	return subs, nil
}

// asked hands a pre-event to a goroutine of its own: the callback must not keep the next one
// waiting.
func (w *worker) asked(i room.Interface) nats.MsgHandler {
	return func(msg *nats.Msg) {
		if !subjects.IsInbox(msg.Reply) {
			w.log.Warn("ignored a pre-event whose verdict would not go to an inbox", "subject", msg.Subject, "reply", msg.Reply)
			return
		}
		ctx, cancel := context.WithTimeout(w.stopping, timeLeft(msg))
		w.inFlight.Go(func() {
			defer cancel()
			w.answer(ctx, i, msg)
		})
	}
}

// timeLeft is how long the room service waits for the verdict.
func timeLeft(msg *nats.Msg) time.Duration {
	ms, err := strconv.ParseInt(msg.Header.Get(subjects.TimeoutMs), 10, 32)
	if err != nil || ms <= 0 {
		return room.DefaultTimeoutMs * time.Millisecond
	}
	return time.Duration(ms) * time.Millisecond
}

func (w *worker) answer(ctx context.Context, i room.Interface, msg *nats.Msg) {
	select {
	case w.preSlots <- struct{}{}:
		defer func() { <-w.preSlots }()
	case <-ctx.Done():
		w.log.Warn("no handler was free in time", "interface", i, "event", msg.Header.Get(subjects.ID))
		return
	}
	verdict, err := w.app.Ask(ctx, w.rooms, i, msg.Data)
	reply := &nats.Msg{Subject: msg.Reply}
	if err == nil {
		reply.Data, err = json.Marshal(verdict)
	}
	if err != nil {
		w.logFailure(err, i, msg.Header.Get(subjects.ID))
		reply.Header = nats.Header{micro.ErrorCodeHeader: {"500"}, micro.ErrorHeader: {strings.Join(strings.Fields(err.Error()), " ")}}
	}
	if err := w.nc.PublishMsg(reply); err != nil {
		w.log.Warn("cannot send the verdict", "interface", i, "event", msg.Header.Get(subjects.ID), "error", err)
	}
}

func (w *worker) logFailure(err error, i room.Interface, event string) {
	attrs := []any{"interface", i, "event", event, "error", err}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.Stack))
	}
	w.log.Error("handler failed", attrs...)
}
