package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Sample holds the messages that a room service sent for a command. The floor sends copies of them.
type Sample struct {
	Workers     []string    `json:"workers"`
	InParallel  int         `json:"inParallel"` // rounds in which all workers are asked in parallel
	OneByOne    bool        `json:"oneByOne"`   // then one after the other
	PreHeader   nats.Header `json:"preHeader"`
	PreBody     []byte      `json:"preBody"`
	Event       string      `json:"event"`
	EventHeader nats.Header `json:"eventHeader"`
	EventBody   []byte      `json:"eventBody"`
	Reply       []byte      `json:"reply"`
}

// rounds returns the workers to ask in each round.
func (s *Sample) rounds() (all [][]string) {
	if len(s.Workers) == 0 {
		return nil
	}
	for range s.InParallel {
		all = append(all, s.Workers)
	}
	if s.OneByOne {
		for n := range s.Workers {
			all = append(all, s.Workers[n:n+1])
		}
	}
	return all
}

// sampleTimeout bounds the recording of a sample.
const sampleTimeout = 10 * time.Second

// sample runs one command on the room service and records the messages that it sends.
func (st *stage) sample(ctx context.Context, r request) (*Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	s := &Sample{Workers: st.floorWorkers(), InParallel: 1, Event: string(r.command.event())}
	if r.command == Create {
		s.InParallel, s.OneByOne = 2, true
	}
	pres := make(chan *nats.Msg, 64)
	sub, err := st.nc.ChanSubscribe(subjects.AllPre, pres)
	if err != nil {
		return nil, fmt.Errorf("listening to pre-events: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only if the connection is closed
	if err := st.nc.FlushWithContext(ctx); err != nil {
		return nil, fmt.Errorf("listening to pre-events: %w", err)
	}
	reply, err := st.nc.RequestMsgWithContext(ctx, r.message(roombus))
	if err != nil {
		return nil, fmt.Errorf("sending a first %s: %w", r.command, err)
	}
	if why := failure(reply); why != "" {
		return nil, fmt.Errorf("a first %s failed: %s", r.command, why)
	}
	var result room.Result
	if err := json.Unmarshal(reply.Data, &result); err != nil || result.Event == nil {
		return nil, fmt.Errorf("a first %s has changed nothing: %s", r.command, reply.Data)
	}
	s.Reply = reply.Data
	event, err := st.events.GetMsg(ctx, result.Event.Seq)
	if err != nil {
		return nil, fmt.Errorf("reading the event of a first %s: %w", r.command, err)
	}
	s.EventHeader, s.EventBody = event.Header, event.Data
	if len(s.Workers) == 0 {
		return s, nil
	}
	select {
	case pre := <-pres:
		s.PreHeader, s.PreBody = pre.Header, pre.Data
	case <-ctx.Done():
		return nil, fmt.Errorf("listening to pre-events: %w", ctx.Err())
	}
	return s, nil
}

// errorHeader marks a reply of the floor that is an error.
const errorHeader = "Bench-Error"

// failure returns the reason why a reply is not the success of its command, or "".
func failure(reply *nats.Msg) string {
	for _, key := range []string{micro.ErrorHeader, errorHeader} {
		if why := reply.Header.Get(key); why != "" {
			return why
		}
	}
	if reply.Header.Get("Status") == "503" {
		return "no service answers"
	}
	return ""
}
