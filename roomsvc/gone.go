package roomsvc

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

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
func (s *Service) haveStream() error {
	if s.gone.Load() {
		return streamGone()
	}
	return nil
}

// brokeOff takes note that reading the stream has failed.
func (s *Service) brokeOff(err error) {
	if errors.Is(err, jetstream.ErrStreamNotFound) && !s.gone.Swap(true) {
		s.log.Error("the stream is gone; every command ends as unavailable until it is back", "stream", subjects.Events)
	}
	if s.outage.Failed(time.Now()) {
		s.log.Warn("reading the stream broke off; trying again", "after", s.projection.last(), "error", err)
	}
}

// readsAgain takes note that reading the stream has begun.
func (s *Service) readsAgain() {
	if lasted, log := s.outage.Ended(time.Now()); log {
		s.log.Info("reading the stream again", "after", s.projection.last(), "outage", lasted.Round(time.Millisecond))
	}
}
