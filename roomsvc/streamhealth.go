package roomsvc

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/subjects"
)

// streamGone returns the error of a command while the stream of events does not exist.
func streamGone() *room.Error {
	return room.Errorf(room.CodeUnavailable,
		"the stream %s is gone: restore it from a backup, or start a room service with --new-events to begin with no rooms", subjects.Events)
}

// streamHealth records whether JetStream answers and the stream of events can be read, and logs when
// that changes. It is safe for concurrent use.
type streamHealth struct {
	log     *slog.Logger
	nc      *nats.Conn
	ackWait time.Duration
	last    func() uint64 // the last sequence read from the stream

	gone       atomic.Bool // the stream does not exist
	unreadable atomic.Bool // the stream cannot be read
	probing    atomic.Bool // leaderSilent is asking the leader
	outage     bus.Outage  // of JetStream or of the stream
	readOutage bus.Outage  // of reading the stream while JetStream answers
}

// streamError returns the error streamGone if the projection has found that the stream does not
// exist. The command is then refused before its apps are asked, since they would use up its time.
func (h *streamHealth) streamError() error {
	if h.gone.Load() {
		return streamGone()
	}
	return nil
}

// StreamFound records that the stream exists.
func (h *streamHealth) StreamFound() { h.gone.Store(false) }

// ReadFailed records that reading the stream has failed. reading is false if it could not begin.
func (h *streamHealth) ReadFailed(reading bool, err error) {
	now := time.Now()
	h.unreadable.Store(!reading)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		first := !h.gone.Swap(true)
		if h.outage.Failed(now) || first {
			h.log.Error("stream is gone: commands are unavailable until it is back", "stream", subjects.Events)
		}
	case errors.Is(err, projection.ErrReconnected), !h.nc.IsConnected():
		// The lost connection is logged elsewhere.
	case reading: // the next try follows at once and shows whether JetStream answers
		if h.readOutage.Failed(now) {
			h.log.Info("reading the stream failed; retrying", "after", h.last(), "error", err)
		}
	default:
		h.logOutage(now, err)
	}
}

func (h *streamHealth) logOutage(now time.Time, err error) {
	if h.outage.Failed(now) {
		h.log.Warn("JetStream does not answer: commands are unavailable", "error", err)
	}
}

// silenceLook is the interval between requests to a leader that does not answer.
const silenceLook = time.Second

// leaderSilent records that the leader of the stream did not answer a command. A node that is cut
// off from the others can still serve reads of the stream. So leaderSilent asks the leader in the
// background until it answers or the context ends.
func (h *streamHealth) leaderSilent(ctx context.Context, running *sync.WaitGroup, err error) {
	if !h.nc.IsConnected() {
		return // the lost connection is logged
	}
	h.logOutage(time.Now(), err)
	if h.probing.Swap(true) {
		return
	}
	running.Go(func() {
		defer h.probing.Store(false)
		for bus.Sleep(ctx, silenceLook) && !h.unreadable.Load() { // if unread, the projection finds out
			asking, cancel := context.WithTimeout(ctx, h.ackWait)
			_, err := bus.LeaderLast(asking, h.nc, subjects.Events, subjects.AllEvents)
			cancel()
			if err != nil {
				h.logOutage(time.Now(), err)
				continue
			}
			h.logRecovery()
			return
		}
	})
}

// ReadStarted records that reading the stream has begun.
func (h *streamHealth) ReadStarted() {
	h.unreadable.Store(false)
	h.readOutage.Ended(time.Now())
	h.logRecovery()
}

func (h *streamHealth) logRecovery() {
	if lasted, log := h.outage.Ended(time.Now()); log {
		h.log.Info("JetStream answers, and the stream is read again", "after", h.last(), "outage", lasted.Round(time.Millisecond))
	}
}

// isUnavailable reports whether NATS or JetStream is unavailable. That is logged, so errors that
// follow from it are not.
func (h *streamHealth) isUnavailable() bool { return !h.nc.IsConnected() || h.outage.Lasts() }
