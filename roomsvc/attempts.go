package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

var (
	// errMoved is returned when the room is no longer as the decision saw it.
	errMoved = errors.New("the room has moved")
	// errBehind is returned when the stream's leader lacks an event that has been seen. A
	// leader that has just lost its office may answer so; otherwise somebody has removed
	// events, and the room cannot be changed until this service has been started anew.
	errBehind = errors.New("the stream's leader lacks events of the room")
	// errSilent is returned when the stream's leader cannot be asked.
	errSilent = errors.New("the stream's leader does not answer")
)

// elsewhereError is returned when another service is to do the command.
type elsewhereError struct {
	service string
	// waits: that service is deciding an earlier command of the same user, and this one has to wait.
	waits bool
}

func (e *elsewhereError) Error() string { return "another service is to do the command" }

// movedError is errMoved, with the service that has made the room's last event.
type movedError struct{ by string }

func (e *movedError) Error() string { return errMoved.Error() }

func (e *movedError) Unwrap() error { return errMoved }

// behindError is errBehind, with what the leader has of the room and what has been seen.
type behindError struct {
	room      string
	has, seen uint64
}

func (e *behindError) Error() string {
	return fmt.Sprintf("the stream %s lacks events of room %q: it has sequence %d, this service has seen %d; if they were removed on purpose, "+
		"restart the room service; otherwise restore the stream from a backup", subjects.Events, e.room, e.has, e.seen)
}

func (e *behindError) Unwrap() error { return errBehind }

// attempts decides when a command is tried again. A room that has moved is worth MaxConflicts
// more tries; trouble with JetStream is worth CommitPatience, also if it claims a conflict
// where the room has not moved. Both end with the command's budget.
type attempts struct {
	cfg          Config
	place        *ticket // of the command; nil if it has none
	n            int
	conflicts    int
	failingSince time.Time // since when; zero if never
	last         error
	unavailable  error     // why JetStream cannot store the event; nil if it can as far as is known
	unable       error     // the last one in which JetStream says that it cannot; nil if none
	data         room.Data // what every app asked had said in the last try that asked
	// refusal is why apps did not let the command pass. It stands until a later try has asked them
	// all and none of them was against it.
	refusal *room.Error
	// doubt is the guard of a publish that was never answered. While the room stands at that
	// sequence the event may still appear.
	uncertainSeq *uint64
}

func (s *Service) newAttempts(place *ticket) *attempts { return &attempts{cfg: s.cfg, place: place} }

// again reports whether to try (again), after waiting a moment if the last try failed.
func (a *attempts) next(ctx context.Context) bool {
	a.n++
	if a.n == 1 {
		return true
	}
	if a.conflicts > a.cfg.MaxConflicts || errors.Is(a.last, bus.ErrTooLarge) || errors.Is(a.last, jetstream.ErrStreamNotFound) ||
		!a.failingSince.IsZero() && time.Since(a.failingSince) > a.cfg.CommitPatience {
		return false
	}
	// The wait doubles up to 64 ms, and its length is drawn: two services that collided once
	// do not collide again for having waited equally long.
	longest := time.Millisecond << min(a.n-2, 6)
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// isFresh reports whether nothing has come of the command so far: no publish that may have been
// stored, and no word of an app against it.
func (a *attempts) isFresh() bool { return a.uncertainSeq == nil && a.refusal == nil }

// asked takes note of how asking the apps about the draft ended, and returns why the change must not
// be. A denial is only taken back by a later try in which every app had its say: not by one in which
// an app failed, had no time or was away.
func (a *attempts) asked(d room.Draft, refusal error) error {
	a.data = d.Data
	var e *room.Error
	if !errors.As(refusal, &e) {
		if a.refusal != nil && a.refusal.IsDenial() && !d.EveryAppAnswered() {
			return a.refusal
		}
		a.refusal = nil
		return refusal
	}
	if a.refusal == nil || !a.refusal.IsDenial() || e.IsDenial() {
		a.refusal = e
	}
	return refusal
}

// standing is the error to answer with when a later try cannot even begin: apps' refusal stands if it
// is only not known at the moment how things are.
func (a *attempts) standing(err error) error {
	if a.refusal != nil && a.uncertainSeq == nil && errors.Is(err, &room.Error{Code: room.CodeUnavailable}) {
		return a.refusal
	}
	return err
}

// failed takes note of why a try that saw this view ended without an answer.
func (a *attempts) record(err error, v room.View) {
	a.last = err
	if errors.Is(err, bus.ErrUncertain) || errors.Is(err, bus.ErrStored) {
		a.uncertainSeq = &v.Seq
	}
	if errors.Is(err, bus.ErrRefused) || errors.Is(err, errBehind) {
		a.unable = err
	}
	if errors.Is(err, errMoved) {
		a.conflicts++
		a.unavailable = nil
		return
	}
	if isUnavailable(err) {
		a.unavailable = err
		a.place.at(&step{storeErr: err})
	}
	if a.failingSince.IsZero() {
		a.failingSince = time.Now()
	}
}

// isAway reports whether JetStream has said that it cannot store an event, or says nothing at all. Of a
// lost acknowledgement that is not known.
func isUnavailable(err error) bool {
	var said *jetstream.APIError
	return errors.Is(err, bus.ErrRefused) || errors.Is(err, errBehind) ||
		errors.Is(err, bus.ErrUncertain) && (errors.Is(err, errSilent) || errors.As(err, &said))
}

// settle is the error to answer with after a confirmed decision not to commit, nil for none. If
// apps made that decision it is theirs. It cannot stand while an earlier try may still turn out to
// have been stored.
func (a *attempts) finalError(decided error, v room.View) error {
	switch {
	case decided == nil:
		return nil
	case a.uncertainSeq != nil && *a.uncertainSeq == v.Seq:
		return a.withAnswers(unknown())
	case a.refusal != nil && room.IsRefusal(decided):
		return a.refusal
	}
	return decided
}

func unknown() *room.Error {
	return room.Errorf(room.CodeUnavailable, "it is not known yet whether the change was stored; send the command again with the same id")
}

// giveUp is the error to answer with when there is no further try. The commands behind it that came
// while JetStream was away are not tried.
func (a *attempts) exhausted(ctx context.Context) error {
	// A command in a hurry says nothing about JetStream, unless it has waited for it in vain.
	if a.place != nil && (ctx.Err() == nil || errors.Is(a.unavailable, errSilent)) {
		a.place.storeErr = a.unavailable
	}
	if a.uncertainSeq == nil && a.refusal != nil {
		return a.refusal
	}
	return a.withAnswers(a.cause(ctx))
}

func (a *attempts) withAnswers(e *room.Error) *room.Error {
	e.Apps, e.Cut = a.data.Apps, a.data.Cut
	return e
}

func (a *attempts) cause(ctx context.Context) *room.Error {
	var behind *behindError
	switch {
	case errors.Is(a.last, bus.ErrTooLarge):
		return room.Errorf(room.CodeTooLarge, "the event is larger than a message may be: %v", a.last)
	case errors.Is(a.last, jetstream.ErrStreamNotFound):
		return streamGone()
	case a.uncertainSeq != nil:
		return unknown()
	case errors.As(a.unable, &behind):
		return room.Errorf(room.CodeUnavailable, "%v", behind)
	case a.unable != nil:
		return room.Errorf(room.CodeUnavailable, "cannot commit now, send the command again with the same id: %v", a.unable)
	case ctx.Err() != nil:
		return room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out; send it again with the same id")
	case !a.failingSince.IsZero():
		return room.Errorf(room.CodeUnavailable, "cannot commit now, send the command again with the same id: %v", a.last)
	}
	return room.Errorf(room.CodeConflict, "the room changed %d times meanwhile; send the command again", a.conflicts)
}
