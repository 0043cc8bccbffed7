package roomsvc

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// streamGone is the error of a command while the stream of events does not exist.
func streamGone() *room.Error {
	return room.Errorf(room.CodeUnavailable,
		"the stream %s is gone: restore it from a backup, or start a room service with --new-events to begin with no rooms", subjects.Events)
}

// haveStream returns the error streamGone if follow has found that the stream does not exist. A command is
// then refused before its apps are asked: they would take the time in which it can be answered.
func (s *Service) streamError() error {
	if s.gone.Load() {
		return streamGone()
	}
	return nil
}

// brokeOff takes note that reading the stream has failed: while it was read, or before it could be.
func (s *Service) readFailed(reading bool, err error) {
	now := time.Now()
	s.unread.Store(!reading)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		first := !s.gone.Swap(true)
		if s.outage.Failed(now) || first {
			s.log.Error("the stream is gone; every command ends as unavailable until it is back", "stream", subjects.Events)
		}
	case errors.Is(err, errReconnected), !s.nc.IsConnected():
		// The loss of the connection is logged.
	case reading: // the next try, at once, tells whether JetStream answers
		if s.brokenOff.Failed(now) {
			s.log.Info("reading the stream broke off; trying again", "after", s.projection.last(), "error", err)
		}
	default:
		s.logOutage(now, err)
	}
}

func (s *Service) logOutage(now time.Time, err error) {
	if s.outage.Failed(now) {
		s.log.Warn("JetStream does not answer: commands are unavailable", "error", err)
	}
}

// silenceLook is how often a stream's leader that is silent is asked again.
const silenceLook = time.Second

// silent takes note that the leader of the stream has not answered a command. The stream may still be read, from a node
// that is cut off from the others: then the leader is asked in the background until it answers.
func (s *Service) leaderSilent(err error) {
	if !s.nc.IsConnected() {
		return // that is logged
	}
	s.logOutage(time.Now(), err)
	if s.probing.Swap(true) {
		return
	}
	s.running.Go(func() {
		defer s.probing.Store(false)
		for sleep(s.ctx, silenceLook) && !s.unread.Load() { // otherwise follow does
			ctx, cancel := context.WithTimeout(s.ctx, s.cfg.AckWait)
			_, err := bus.LeaderLast(ctx, s.nc, subjects.Events, subjects.AllEvents)
			cancel()
			if err != nil {
				s.logOutage(time.Now(), err)
				continue
			}
			s.logRecovery()
			return
		}
	})
}

// readsAgain takes note that reading the stream has begun.
func (s *Service) readStarted() {
	s.unread.Store(false)
	s.brokenOff.Ended(time.Now())
	s.logRecovery()
}

func (s *Service) logRecovery() {
	if lasted, log := s.outage.Ended(time.Now()); log {
		s.log.Info("JetStream answers, and the stream is read again", "after", s.projection.last(), "outage", lasted.Round(time.Millisecond))
	}
}

// isAway reports whether NATS or JetStream is away, which is logged. What fails meanwhile is not logged besides.
func (s *Service) isUnavailable() bool { return !s.nc.IsConnected() || s.outage.Lasts() }
