package roomsvc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/health"
	"github.com/roombus/roombus/roomsvc/lanes"
)

// attempts decides whether a command is tried again. A conflict is retried MaxConflicts times.
// Errors of JetStream are retried for CommitPatience, also a conflict if the room has not changed.
// Both end with the time of the command.
type attempts struct {
	cfg          Config
	place        *lanes.Ticket // of the command; nil if it has none
	n            int
	conflicts    int
	failingSince time.Time // when the first error of JetStream was; zero if none
	last         outcome
	unavailable  *outcome  // the last try, if JetStream could not store the event
	unable       *outcome  // the last try in which JetStream refused the event or lacked events; nil if none
	data         room.Data // the draft with the answers of the apps, of the last try that asked them
	// refusal is the error of the apps that block the command. It stands until a later try has
	// asked all apps and none of them refused.
	refusal *room.Error
	// uncertainSeq is the guard of a publish that was not acknowledged. The event may still be
	// stored while the room is at that sequence.
	uncertainSeq *uint64
}

// next reports whether to try the command. After a failed try it backs off first.
func (a *attempts) next(ctx context.Context) bool {
	a.n++
	if a.n == 1 {
		return true
	}
	if a.conflicts > a.cfg.MaxConflicts || a.last.fate == tooLarge || a.last.fate == gone ||
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

// record records the outcome of a try that has not ended the command.
func (a *attempts) record(o outcome) {
	a.last = o
	if o.unacknowledged {
		a.uncertainSeq = &o.seq
	}
	if o.refused || o.fate == behind {
		a.unable = &o
	}
	if o.fate == moved {
		a.conflicts++
		a.unavailable = nil
		return
	}
	if o.unavailable || o.fate == behind {
		a.unavailable = &o
		a.place.At(lanes.StoreFailing(o.err))
	}
	if a.failingSince.IsZero() {
		a.failingSince = time.Now()
	}
}

// finalError returns the error to answer with after a confirmed decision not to commit at that
// sequence of the room, nil for none. If the apps made the decision it is their error. The decision
// cannot stand while an earlier try's event may still be stored.
func (a *attempts) finalError(decided error, seq uint64) error {
	switch {
	case decided == nil:
		return nil
	case a.uncertainSeq != nil && *a.uncertainSeq == seq:
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
	if a.unavailable != nil && (ctx.Err() == nil || a.unavailable.fate == silent) {
		a.place.StoreFailed(a.unavailable.err)
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
	switch {
	case a.last.fate == tooLarge:
		return room.Errorf(room.CodeTooLarge, "the event is larger than a message may be: %v", a.last.err)
	case a.last.fate == gone:
		return health.StreamGone()
	case a.uncertainSeq != nil:
		return unknown()
	case a.unable != nil && a.unable.fate == behind:
		return room.Errorf(room.CodeUnavailable, "%v", a.unable.err)
	case a.unable != nil:
		return room.Errorf(room.CodeUnavailable, "cannot commit now, send the command again with the same id: %v", a.unable.err)
	case ctx.Err() != nil:
		return room.Errorf(room.CodeDeadlineExceeded, "the command's time ran out; send it again with the same id")
	case !a.failingSince.IsZero():
		return room.Errorf(room.CodeUnavailable, "cannot commit now, send the command again with the same id: %v", a.last.err)
	}
	return room.Errorf(room.CodeConflict, "the room changed %d times meanwhile; send the command again", a.conflicts)
}
