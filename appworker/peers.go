package appworker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// The waits between two refreshes of the ack floor while lines are blocked.
const (
	firstRefresh = 20 * time.Millisecond
	lastRefresh  = time.Second
)

// manyBlocked is the number of blocked lines from which one refresh of the floor costs less than a query
// for each line.
const manyBlocked = 8

// orderQuery is the message between the workers of an app about one event of a room. As a query it asks
// whether the event is done. As an answer it says that the event is done or, with Held, that the sender
// holds it.
type orderQuery struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
	Held bool   `json:"held,omitempty"`
}

// servePeers exchanges queries with the other workers of the app until the context ends. An event that
// waits for an event of another worker then begins without delay. The consumer's ack floor covers workers
// that are gone.
func (s *source) servePeers(ctx context.Context) error {
	inbox := s.nc.NewInbox()
	answers, err := s.nc.Subscribe(inbox, func(msg *nats.Msg) {
		var a orderQuery
		switch err := json.Unmarshal(msg.Data, &a); {
		case err != nil: // not from a worker
		case a.Held:
			s.lines.markHeld(a.Room, a.Seq)
		default:
			s.begin(s.lines.markDone(a.Room, a.Seq))
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	prefixes := append([]string{s.nc.Opts.InboxPrefix}, s.cfg.ReplyPrefixes...)
	queries, err := s.nc.Subscribe(subjects.Turn(s.app.Manifest.ID), func(msg *nats.Msg) {
		var q orderQuery
		if msg.Reply != inbox && bus.IsInbox(msg.Reply, prefixes...) && json.Unmarshal(msg.Data, &q) == nil {
			if done, held := s.lines.lookup(query{room: q.Room, seq: q.Seq, reply: msg.Reply}); done || held {
				s.send(msg.Reply, "", orderQuery{Room: q.Room, Seq: q.Seq, Held: held})
			}
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	s.background.Go(func() {
		for {
			select {
			case <-s.blocked:
				s.resolve(ctx, inbox)
			case <-ctx.Done():
				_, _ = answers.Unsubscribe(), queries.Unsubscribe() // fail only if the connection is closed
				return
			}
		}
	})
	return nil
}

// resolve runs until no line is blocked. It sends a query for a newly blocked line at once. With growing
// waits it refreshes the ack floor and repeats the queries.
func (s *source) resolve(ctx context.Context, inbox string) {
	sent := make(map[query]bool)
	refresh, wait := time.NewTimer(firstRefresh), firstRefresh
	defer refresh.Stop()
	for {
		queries := s.lines.openQueries()
		if len(queries) >= manyBlocked {
			s.refresh(ctx)
			queries = s.lines.openQueries()
		}
		if len(queries) == 0 {
			return
		}
		for _, q := range queries {
			if !sent[q] {
				sent[q] = true
				s.send(subjects.Turn(s.app.Manifest.ID), inbox, orderQuery{Room: q.room, Seq: q.seq})
			}
		}
		select {
		case <-s.blocked:
		case <-refresh.C:
			clear(sent)
			s.refresh(ctx)
			wait = min(2*wait, lastRefresh)
			refresh.Reset(wait)
		case <-ctx.Done():
			return
		}
	}
}

// answer tells other workers that the events of their queries are done.
func (s *source) answer(all []query) {
	for _, q := range all {
		s.send(q.reply, "", orderQuery{Room: q.room, Seq: q.seq})
	}
}

// send is best effort: a worker that misses the message learns the state from the ack floor.
func (s *source) send(subject, reply string, q orderQuery) {
	data, err := json.Marshal(q)
	if err == nil {
		_ = s.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: data})
	}
}
