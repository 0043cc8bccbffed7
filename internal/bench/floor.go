package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// The floor's subjects are as long as the room service's, or a byte longer.
const (
	floorStream  = "FLOOR_EVENTS"
	floorEvents  = "floor.post.>"
	floorPrepare = "floor.prepare"
)

func floorService(c Command) string         { return "floor.svc." + string(c) }
func floorAsk(worker string) string         { return "floor.pre.command." + worker }
func floorPost(event, roomID string) string { return "floor.post." + event + "." + roomID }
func floorPosts(roomID string) string       { return "floor.post.*." + roomID }

// roomHeader names the room of a command, because the floor does not read bodies.
const roomHeader = "Bench-Room"

// unchangedHeader marks a command that changes nothing.
const unchangedHeader = "Bench-Unchanged"

// floorTimeout is how long the floor waits for any reply.
const floorTimeout = 5 * time.Second

// floor does the NATS work of a room service for a command, and nothing else. It asks, gathers,
// publishes under a guard and replies, with messages that it was given.
type floor struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	inbox string

	sample atomic.Pointer[Sample]
	tokens atomic.Uint64
	asking sync.Map // the channel of a gather, by its token

	mu    sync.Mutex
	rooms map[string]*floorRoom
}

type floorRoom struct {
	mu  sync.Mutex
	seq uint64
}

func newFloor(nc *nats.Conn, js jetstream.JetStream) *floor {
	return &floor{nc: nc, js: js, inbox: nc.NewInbox() + ".", rooms: make(map[string]*floorRoom)}
}

func (f *floor) serve() error {
	_, err := f.nc.Subscribe(f.inbox+"*", func(msg *nats.Msg) {
		if waiting, ok := f.asking.Load(strings.TrimPrefix(msg.Subject, f.inbox)); ok {
			waiting.(chan *nats.Msg) <- msg
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	_, err = f.nc.Subscribe(floorPrepare, func(msg *nats.Msg) {
		var s Sample
		if json.Unmarshal(msg.Data, &s) == nil {
			f.sample.Store(&s)
			_ = msg.Respond(nil)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	_, err = f.nc.QueueSubscribe(floorService("*"), "floor", func(msg *nats.Msg) { go f.handle(msg) })
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	return nil
}

func (f *floor) handle(msg *nats.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), floorTimeout)
	defer cancel()
	if err := f.do(ctx, msg); err != nil {
		_ = f.nc.PublishMsg(&nats.Msg{Subject: msg.Reply, Header: nats.Header{errorHeader: {err.Error()}}})
		return
	}
	_ = f.nc.Publish(msg.Reply, f.sample.Load().Reply)
}

func (f *floor) do(ctx context.Context, msg *nats.Msg) error {
	s := f.sample.Load()
	r := f.room(msg.Header.Get(roomHeader))
	if msg.Header.Get(unchangedHeader) != "" {
		_, err := bus.LeaderLast(ctx, f.nc, floorStream, floorPosts(msg.Header.Get(roomHeader)))
		return err
	}
	for _, round := range s.rounds() {
		if err := f.gather(ctx, s, round); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	event := &nats.Msg{Subject: floorPost(s.Event, msg.Header.Get(roomHeader)), Header: maps.Clone(s.EventHeader), Data: s.EventBody}
	ack, err := f.js.PublishMsg(ctx, event,
		jetstream.WithMsgID(msg.Header.Get(subjects.CommandID)),
		jetstream.WithExpectLastSequenceForSubject(r.seq, floorPosts(msg.Header.Get(roomHeader))))
	if err == nil {
		r.seq = ack.Sequence
	}
	return err
}

// gather asks the workers in parallel and receives their answers.
func (f *floor) gather(ctx context.Context, s *Sample, workers []string) error {
	token := strconv.FormatUint(f.tokens.Add(1), 36)
	answers := make(chan *nats.Msg, len(workers))
	f.asking.Store(token, answers)
	defer f.asking.Delete(token)
	for _, w := range workers {
		if err := f.nc.PublishMsg(&nats.Msg{Subject: floorAsk(w), Reply: f.inbox + token, Header: s.PreHeader, Data: s.PreBody}); err != nil {
			return err
		}
	}
	for range workers {
		select {
		case <-answers:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (f *floor) room(id string) *floorRoom {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.rooms[id]
	if !ok {
		r = &floorRoom{}
		f.rooms[id] = r
	}
	return r
}
