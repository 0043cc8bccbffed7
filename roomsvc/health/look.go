package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

const (
	// lookInterval is the interval between checks of the dependencies of commits.
	lookInterval = 2 * time.Second
	// leastStorage is the storage that the account must have left: a little more than a usual event
	// takes.
	leastStorage = 4 << 10
)

// look is the result of one check of NATS.
type look struct {
	leader error  // of the stream of events
	full   bool   // the JetStream account has no storage left
	apps   string // why the registry is not in sync
	behind uint64 // events of the stream that the service has not read
}

// look asks the leader of the stream of events for the end of the stream. The registry and the
// rooms must be in sync within the rest of Config.AckWait.
func (r *readiness) look(ctx context.Context) look {
	if !r.cfg.Conn.IsConnected() {
		return look{} // Readiness reports that
	}
	asking, cancel := context.WithTimeout(ctx, r.cfg.AckWait)
	defer cancel()
	stream, err := r.cfg.JetStream.Stream(asking, subjects.Events)
	if err != nil {
		return look{leader: err}
	}
	info := stream.CachedInfo()
	l := look{apps: messageOf(r.cfg.AwaitApps(asking))}
	rooms, end := r.cfg.Rooms(), info.State.LastSeq
	if rooms.AwaitSeq(asking, end) != nil && !rooms.AtEnd(ctx) {
		l.behind = end - min(end, rooms.Last())
	}
	l.full = r.isFull(ctx, info.Config.Replicas)
	return l
}

// messageOf returns the message of an error without its code, "" for nil.
func messageOf(err error) string {
	var e *room.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Message
	}
	return err.Error()
}

// isFull reports whether the JetStream account has no storage left for a stream with so many
// copies. If the request fails, the last result holds.
func (r *readiness) isFull(ctx context.Context, copies int) bool {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.AckWait)
	defer cancel()
	account, err := r.cfg.JetStream.AccountInfo(ctx)
	if err != nil {
		found := r.found.Load()
		return found != nil && found.full
	}
	return !hasStorage(account, copies)
}

// hasStorage reports whether the account may store more. It may have limits by the number of copies.
func hasStorage(account *jetstream.AccountInfo, copies int) bool {
	tier := account.Tier
	if len(account.Tiers) > 0 {
		tier = account.Tiers[fmt.Sprintf("R%d", copies)]
	}
	most := tier.Limits.MaxStore
	return most < 0 || tier.Store+leastStorage <= uint64(most)
}
