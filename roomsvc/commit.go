package roomsvc

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/health"
	"github.com/roombus/roombus/roomsvc/peers"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/subjects"
)

// appender appends to the stream of events.
type appender func(ctx context.Context, msg *nats.Msg, id string, g bus.Guard) (uint64, error)

// committer publishes post-events, and asks the stream's leader about rooms.
type committer struct {
	cfg        Config
	nc         *nats.Conn
	events     jetstream.Stream
	append     appender
	projection *projection.Projection
	peers      *peers.Peers
	health     *health.Health
	conflicts  atomic.Uint64 // commits that lost to another service
}

// newCommitter returns the committer of this service, once its streams are open.
func (s *Service) newCommitter() *committer {
	return &committer{
		cfg: s.cfg, nc: s.nc, events: s.streams.Events(), append: s.appender(),
		projection: s.projection, peers: s.peers, health: s.health,
	}
}

// appender returns the function that appends each commit alone, or groups of them.
func (s *Service) appender() appender {
	if s.cfg.GroupCommits && s.streams.BatchesAllowed() {
		return bus.NewAppendGroup(s.js, s.acks).Append
	}
	return s.acks.Append
}

// commit publishes the post-event, guarded by the room's last sequence. No other function publishes
// to room.post.>. When the publish fails, commit catches the projection up with the stream if it
// can, so that the next load finds the event if it was stored after all.
func (cm *committer) commit(ctx context.Context, c rules.Command, v rules.View, d rules.Draft) outcome {
	if err := ended(ctx); err != nil {
		return outcome{fate: unstored, seq: v.Seq, err: err}
	}
	// A published event may be stored even if the client's time is over. From here on the command
	// takes the time that it needs to learn the outcome.
	ctx = context.WithoutCancel(ctx)
	data := d.Final()
	e := room.Event{
		ID: c.ID, Type: d.Event, Room: c.Request.Target(), Time: v.Time(now()),
		Expected: v.Seq, Previous: v.Latest, Version: data.Room.Version,
		Replica: cm.cfg.ID, Fingerprint: rules.Fingerprint(c.Request), CausedBy: c.CausedBy, Data: data,
	}
	subject, headers, body, err := subjects.EncodePost(e, c.TraceParent)
	if err != nil {
		return outcome{fate: unstored, seq: v.Seq, err: err}
	}
	defer cm.projection.AddPending(e, subject, body)()
	waiting, cancel := context.WithTimeout(ctx, cm.cfg.AckWait)
	defer cancel()
	msg := &nats.Msg{Subject: subject, Header: headers, Data: body}
	e.Seq, err = cm.append(waiting, msg, e.ID, bus.Guard{Seq: v.Seq, Filter: subjects.PostsOf(e.Room)})
	if err != nil {
		o := cm.confirm(ctx, c, v).afterPublish(err)
		if o.fate != moved {
			cm.health.NotCommitted(err)
		}
		if errors.Is(err, bus.ErrConflict) && o.fate == moved { // a conflict alone may be spurious
			cm.conflicts.Add(1)
			cm.peers.Met(e.Room, o.by)
		}
		return o
	}
	cm.health.Committed()
	cm.projection.Commit(e)
	return answer(e.Result(), nil)
}

// now returns the time in the precision of events.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
