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

// streamGone returns the error of a command while the stream of events does not exist.
func streamGone() *room.Error {
	return room.Errorf(room.CodeUnavailable,
		"the stream %s is gone: restore it from a backup, or start a room service with --new-events to begin with no rooms", subjects.Events)
}

// streamError returns the error streamGone if follow has found that the stream does not exist. The
// command is then refused before its apps are asked, since they would use up its time.
func (s *Service) streamError() error {
	if s.gone.Load() {
		return streamGone()
	}
	return nil
}

// readFailed records that reading the stream has failed. reading is false if it could not begin.
func (s *Service) readFailed(reading bool, err error) {
	now := time.Now()
	s.unreadable.Store(!reading)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		first := !s.gone.Swap(true)
		if s.outage.Failed(now) || first {
			s.log.Error("stream is gone: commands are unavailable until it is back", "stream", subjects.Events)
		}
	case errors.Is(err, errReconnected), !s.nc.IsConnected():
		// The lost connection is logged elsewhere.
	case reading: // the next try follows at once and shows whether JetStream answers
		if s.readOutage.Failed(now) {
			s.log.Info("reading the stream failed; retrying", "after", s.projection.last(), "error", err)
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

// silenceLook is the interval between requests to a leader that does not answer.
const silenceLook = time.Second

// leaderSilent records that the leader of the stream did not answer a command. A node that is cut
// off from the others can still serve reads of the stream. So leaderSilent asks the leader in the
// background until it answers.
func (s *Service) leaderSilent(err error) {
	if !s.nc.IsConnected() {
		return // the lost connection is logged
	}
	s.logOutage(time.Now(), err)
	if s.probing.Swap(true) {
		return
	}
	s.running.Go(func() {
		defer s.probing.Store(false)
		for sleep(s.ctx, silenceLook) && !s.unreadable.Load() { // if unread, follow finds out
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

// readStarted records that reading the stream has begun.
func (s *Service) readStarted() {
	s.unreadable.Store(false)
	s.readOutage.Ended(time.Now())
	s.logRecovery()
}

func (s *Service) logRecovery() {
	if lasted, log := s.outage.Ended(time.Now()); log {
		s.log.Info("JetStream answers, and the stream is read again", "after", s.projection.last(), "outage", lasted.Round(time.Millisecond))
	}
}

// isUnavailable reports whether NATS or JetStream is unavailable. That is logged, so errors that
// follow from it are not.
func (s *Service) isUnavailable() bool { return !s.nc.IsConnected() || s.outage.Lasts() }
