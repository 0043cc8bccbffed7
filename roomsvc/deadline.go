package roomsvc

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// deadline returns when the time of a request ends: after its Room-Timeout-Ms or the budget, or at
// its Room-Deadline if that is earlier. Room-Timeout-Ms only starts when the service reads the
// request, which may have waited in a reconnect buffer or in the socket of a stopped process. The
// error is of code deadline_exceeded if the request came too late, invalid_request if the header is
// no time.
func (es *endpoints) deadline(h nats.Header, came time.Time) (time.Time, error) {
	end := came.Add(min(subjects.TimeLeft(h, es.cfg.Budget), es.cfg.Budget))
	latest, err := subjects.GetTime(h, subjects.Deadline)
	switch {
	case err != nil:
		return time.Time{}, err
	case latest.IsZero() || end.Before(latest):
		return end, nil
	case came.Before(latest):
		return latest, nil
	}
	return time.Time{}, room.Errorf(room.CodeDeadlineExceeded, "the request came %s after its %s by the clock of this service, and was not done",
		came.Sub(latest).Round(time.Millisecond), subjects.Deadline)
}

// ended returns the context's error. It also looks at the clock: in a process that was stopped and
// goes on, the clock passes the deadline before the context ends.
func ended(ctx context.Context) error {
	if deadline, bounded := ctx.Deadline(); ctx.Err() == nil && bounded && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}
