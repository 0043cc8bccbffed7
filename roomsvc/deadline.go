package roomsvc

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// deadline is when the time of a request ends: at the end of what Room-Timeout-Ms and the budget give
// it, or at its Room-Deadline if that is earlier. A request may lie for long in a reconnect buffer or
// in the socket of a stopped process, while its Room-Timeout-Ms only begins when it is read. The error
// is of code deadline_exceeded if the request came too late, invalid_request if the header is no time.
func (s *Service) deadline(h nats.Header, came time.Time) (time.Time, error) {
	end := came.Add(min(subjects.TimeLeft(h, s.cfg.Budget), s.cfg.Budget))
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

// ended is the context's error. It also looks at the clock: in a process that was stopped and goes on,
// the clock has passed the deadline before the context ends.
func ended(ctx context.Context) error {
	if deadline, bounded := ctx.Deadline(); ctx.Err() == nil && bounded && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}
