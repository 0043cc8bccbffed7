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

// The waits between two looks at what events wait for.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = time.Second
)

// manyStuck is of how many rooms it costs less to look at the floor than to ask about each.
const manyStuck = 8

// turnWord is what workers of an app say to each other about an event of a room: as a question,
// is it done? As an answer, it is, or somebody has it in hand.
type turnWord struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
	Held bool   `json:"held,omitempty"`
}

// takeTurns keeps events that wait for one in another worker's hands from waiting longer than
// needed, until the context ends: it asks the other workers, and looks at the consumer's floor,
// which also knows of those that are gone.
func (s *source) takeTurns(ctx context.Context) error {
	inbox := s.nc.NewInbox()
	answers, err := s.nc.Subscribe(inbox, func(msg *nats.Msg) {
		var is turnWord
		switch err := json.Unmarshal(msg.Data, &is); {
		case err != nil: // no worker says such things
		case is.Held:
			s.lines.heard(is.Room, is.Seq)
		default:
			s.begin(s.lines.told(is.Room, is.Seq))
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	prefixes := append([]string{s.nc.Opts.InboxPrefix}, s.cfg.ReplyPrefixes...)
	questions, err := s.nc.Subscribe(subjects.Turn(s.app.Manifest.ID), func(msg *nats.Msg) {
		var q turnWord
		if msg.Reply != inbox && bus.IsInbox(msg.Reply, prefixes...) && json.Unmarshal(msg.Data, &q) == nil {
			asked := question{room: q.Room, seq: q.Seq, reply: msg.Reply}
			if done, here := s.lines.asked(asked); done || here {
				s.say(msg.Reply, "", turnWord{Room: q.Room, Seq: q.Seq, Held: here})
			}
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	s.guarding.Go(func() {
		for {
			select {
			case <-s.wanting:
				s.unstick(ctx, inbox)
			case <-ctx.Done():
				_, _ = answers.Unsubscribe(), questions.Unsubscribe() // fail only if the connection is closed
				return
			}
		}
	})
	return nil
}

// unstick asks until nothing waits any more: at once about what is new, and later and later,
// together with a look at the floor, about the rest.
func (s *source) unstick(ctx context.Context, inbox string) {
	asked := make(map[question]bool)
	look, wait := time.NewTimer(firstLook), firstLook
	defer look.Stop()
	for {
		questions := s.lines.questions()
		if len(questions) >= manyStuck {
			s.look(ctx)
			questions = s.lines.questions()
		}
		if len(questions) == 0 {
			return
		}
		for _, q := range questions {
			if !asked[q] {
				asked[q] = true
				s.say(subjects.Turn(s.app.Manifest.ID), inbox, turnWord{Room: q.room, Seq: q.seq})
			}
		}
		select {
		case <-s.wanting:
		case <-look.C:
			clear(asked)
			s.look(ctx)
			wait = min(2*wait, lastLook)
			look.Reset(wait)
		case <-ctx.Done():
			return
		}
	}
}

// answer says to other workers that what they asked about is done.
func (s *source) answer(all []question) {
	for _, q := range all {
		s.say(q.reply, "", turnWord{Room: q.room, Seq: q.seq})
	}
}

// say does its best: who hears nothing finds out from the floor.
func (s *source) say(subject, reply string, word turnWord) {
	data, err := json.Marshal(word)
	if err == nil {
		_ = s.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: data})
	}
}
