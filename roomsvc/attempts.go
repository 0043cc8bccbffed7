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
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

var (
	// errMoved is returned when the room has changed since the decision.
	errMoved = errors.New("the room has moved")
	// errBehind is returned when the stream's leader lacks an event that this service has seen. A
	// leader that has just been replaced may answer so. Otherwise events were removed, and the room
	// cannot be changed until this service is restarted.
	errBehind = errors.New("the stream's leader lacks events of the room")
	// errSilent is returned when the stream's leader does not answer.
	errSilent = errors.New("the stream's leader does not answer")
)

// elsewhereError is returned when another service is to execute the command.
type elsewhereError struct {
	service string
	// waits: that service is deciding an earlier command of the same user, and this command waits
	// for it.
	waits bool
}

func (e *elsewhereError) Error() string { return "another service is to do the command" }

// movedError is errMoved with the id of the service that made the room's last event.
type movedError struct{ by string }

func (e *movedError) Error() string { return errMoved.Error() }

func (e *movedError) Unwrap() error { return errMoved }

// behindError is errBehind with the sequence of the room that the leader has and the sequence that
// this service has seen.
type behindError struct {
	room      string
	has, seen uint64
}

func (e *behindError) Error() string {
	return fmt.Sprintf("the stream %s lacks events of room %q: it has sequence %d, this service has seen %d; if they were removed on purpose, "+
		"restart the room service; otherwise restore the stream from a backup", subjects.Events, e.room, e.has, e.seen)
}

func (e *behindError) Unwrap() error { return errBehind }

// attempts decides whether a command is tried again. A conflict is retried MaxConflicts times.
// Errors of JetStream are retried for CommitPatience, also a conflict if the room has not changed.
// Both end with the time of the command.
type attempts struct {
	cfg          Config
	place        *ticket // of the command; nil if it has none
	n            int
	conflicts    int
	failingSince time.Time // when the first error of JetStream was; zero if none
	last         error
	unavailable  error     // why JetStream cannot store the event, as of the last try; nil if unknown
	unable       error     // the last error in which JetStream refused the event; nil if none
	data         room.Data // the draft with the answers of the apps, of the last try that asked them
	// refusal is the error of the apps that block the command. It stands until a later try has
	// asked all apps and none of them refused.
	refusal *room.Error
	// uncertainSeq is the guard of a publish that was not acknowledged. The event may still be
	// stored while the room is at that sequence.
	uncertainSeq *uint64
}

func (s *Service) newAttempts(place *ticket) *attempts { return &attempts{cfg: s.cfg, place: place} }

// next reports whether to try the command. After a failed try it backs off first.
func (a *attempts) next(ctx context.Context) bool {
	a.n++
	if a.n == 1 {
		return true
	}
	if a.conflicts > a.cfg.MaxConflicts || errors.Is(a.last, bus.ErrTooLarge) || errors.Is(a.last, jetstream.ErrStreamNotFound) ||
		!a.failingSince.IsZero() && time.Since(a.failingSince) > a.cfg.CommitPatience {
		return false
	}
	// The wait doubles up to 64 ms. It is random, so that two services that collided once do not
	// collide again after equal waits.
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

// isFresh reports whether no try has had an effect: no publish may have been stored, and no app has
// refused.
func (a *attempts) isFresh() bool { return a.uncertainSeq == nil && a.refusal == nil }

// asked records how the apps answered about the draft, and returns the error that blocks the
// change. Only a later try in which every app answered takes back a denial. A try in which an app
// failed, had too little time or was unavailable does not.
func (a *attempts) asked(d rules.Draft, refusal error) error {
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

// standing returns the error to answer with if a later try cannot begin. If the error is only that
// the service is unavailable, an earlier refusal by the apps stands.
func (a *attempts) standing(err error) error {
	if a.refusal != nil && a.uncertainSeq == nil && errors.Is(err, &room.Error{Code: room.CodeUnavailable}) {
		return a.refusal
	}
	return err
}

// record records why a try with this view failed.
func (a *attempts) record(err error, v rules.View) {
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

// isUnavailable reports whether JetStream refused to store an event, or does not answer at all. A
// lost acknowledgement alone does not show that.
func isUnavailable(err error) bool {
	var said *jetstream.APIError
	return errors.Is(err, bus.ErrRefused) || errors.Is(err, errBehind) ||
		errors.Is(err, bus.ErrUncertain) && (errors.Is(err, errSilent) || errors.As(err, &said))
}

// finalError returns the error to answer with after a confirmed decision not to commit, nil for
// none. If the apps made the decision it is their error. The decision cannot stand while an earlier
// try's event may still be stored.
func (a *attempts) finalError(decided error, v rules.View) error {
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

// exhausted returns the error to answer with when there is no further try. If JetStream is
// unavailable, the commands behind this one that arrived meanwhile are not tried.
func (a *attempts) exhausted(ctx context.Context) error {
	// A command with little time says nothing about JetStream, unless JetStream did not answer it.
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
