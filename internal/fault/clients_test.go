package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/internal/linear"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/subjects"
)

const (
	clientCount = 8
	users       = 4
	names       = 3 // of rooms and users, so that some updates change nothing
	// thinking is the longest pause of a client between two commands.
	thinking = 20 * time.Millisecond
	// generation is how long a set of rooms is used: the time to check a room grows faster than its
	// history.
	generation = 15 * time.Second
	mostRooms  = 10
	// patience is how long most commands are tried. It is less than the window in which an id is
	// known.
	patience = time.Minute
	// attempt is the timeout of one attempt.
	attempt = time.Second
	// haste is the longest timeout of the other commands.
	haste = 500 * time.Millisecond
)

// send sends a command with one id, more than once if needed. Sure says that no attempt before the
// answered one may still be running.
type send func(ctx context.Context, id string, in linear.Input) (r room.Result, sure bool, err error)

// clients create, update, delete, join and leave rooms and update members at random.
type clients struct {
	history *linear.History
	seed    uint64
	began   time.Time

	mu    sync.Mutex
	reads []room.Room
}

// use runs all clients until the context ends. wait returns when each has its last answer. Half of
// them use the SDK, half speak plain NATS.
func (c *clients) use(ctx context.Context, t *testing.T, cluster *harness.Cluster) (wait func()) {
	var working sync.WaitGroup
	for n := range clientCount {
		nc := cluster.Connect(t, n%len(cluster.Nodes))
		sdk := roomclient.New(nc, roomclient.Config{AttemptTimeout: attempt})
		r := rand.New(rand.NewPCG(c.seed, 1000+uint64(n)))
		do := withSDK(sdk)
		if n%2 == 1 {
			do = plainly(nc, r)
		}
		working.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id, in := c.next(r, n, i)
				c.command(r, n, id, in, do)
				if r.IntN(10) == 0 {
					c.read(ctx, sdk, in.Room)
				}
				pause(ctx, time.Duration(r.Int64N(int64(thinking))))
			}
		})
	}
	return working.Wait
}

// next draws a command.
func (c *clients) next(r *rand.Rand, client, n int) (id string, in linear.Input) {
	g := uint64(time.Since(c.began) / generation)
	rooms := 1 + rand.New(rand.NewPCG(c.seed, g)).IntN(mostRooms)
	in.Room = fmt.Sprintf("g%d-r%d", g, r.IntN(rooms))
	in.User = "u" + strconv.Itoa(r.IntN(users))
	switch draw := r.IntN(100); {
	case draw < 15:
		in.Event = room.EventCreate
	case draw < 20:
		in.Event = room.EventDelete
	case draw < 30:
		in.Event, in.Name = room.EventUpdate, strconv.Itoa(r.IntN(names))
	case draw < 40:
		in.Event, in.Name = room.EventUserUpdate, strconv.Itoa(r.IntN(names))
	case draw < 72:
		in.Event = room.EventUserJoin
		if r.IntN(8) == 0 {
			in.User, in.Refused = banned, true
		}
	default:
		in.Event = room.EventUserLeave
	}
	return fmt.Sprintf("c%d-%d", client, n), in
}

func (c *clients) command(r *rand.Rand, client int, id string, in linear.Input, do send) {
	limit := patience
	if r.IntN(20) == 0 {
		limit = pauseUpTo(r, haste)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	op := c.history.Begin(client, id, in)
	result, sure, err := do(ctx, id, in)
	c.history.End(op, result, err, sure)
}

// read records a replica's answer about a room.
func (c *clients) read(ctx context.Context, sdk *roomclient.Client, roomID string) {
	ctx, cancel := context.WithTimeout(ctx, haste)
	defer cancel()
	record, err := sdk.Get(ctx, roomID)
	if err != nil {
		return // the room may not exist
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = append(c.reads, record)
}

func withSDK(sdk *roomclient.Client) send {
	return func(ctx context.Context, id string, in linear.Input) (r room.Result, sure bool, err error) {
		as, began := roomclient.WithID(id), time.Now()
		first := attempt // the least timeout of the first attempt
		if end, bounded := ctx.Deadline(); bounded {
			first = min(first, time.Until(end)*17/20)
		}
		switch q := request(in).(type) {
		case room.CreateRequest:
			r, err = sdk.Create(ctx, q, as)
		case room.DeleteRequest:
			r, err = sdk.Delete(ctx, q, as)
		case room.JoinRequest:
			r, err = sdk.Join(ctx, q, as)
		case room.LeaveRequest:
			r, err = sdk.Leave(ctx, q, as)
		case room.UpdateRequest:
			r, err = sdk.Update(ctx, q, as)
		case room.UpdateMemberRequest:
			r, err = sdk.UpdateMember(ctx, q, as)
		}
		return r, time.Since(began) < first, err // an unanswered attempt takes longer
	}
}

func request(in linear.Input) room.Request {
	u := room.User{ID: in.User}
	switch in.Event {
	case room.EventCreate:
		return room.CreateRequest{Room: room.NewRoom{ID: in.Room, SlugifiedName: in.Room, Type: room.Channel}, Creator: u}
	case room.EventDelete:
		return room.DeleteRequest{RoomID: in.Room, DeletedBy: &u}
	case room.EventUserJoin:
		return room.JoinRequest{RoomID: in.Room, User: u}
	case room.EventUpdate:
		return room.UpdateRequest{RoomID: in.Room, Patch: room.Patch{"displayName": in.Name}, UpdatedBy: &u}
	case room.EventUserUpdate:
		return room.UpdateMemberRequest{RoomID: in.Room, User: room.Patch{"id": in.User, "name": in.Name}}
	}
	return room.LeaveRequest{RoomID: in.Room, User: u}
}

// endpoints are the subjects of commands, by their events.
var endpoints = map[room.EventType]string{
	room.EventCreate: subjects.Create, room.EventDelete: subjects.Delete,
	room.EventUserJoin: subjects.Join, room.EventUserLeave: subjects.Leave,
	room.EventUpdate: subjects.Update, room.EventUserUpdate: subjects.UpdateMember,
}

// plainly sends requests with random timeouts, many of which expire while a service is working on
// them.
func plainly(nc *nats.Conn, r *rand.Rand) send {
	return func(ctx context.Context, id string, in linear.Input) (room.Result, bool, error) {
		body, err := json.Marshal(request(in))
		if err != nil {
			return room.Result{}, true, err
		}
		sure := true
		for {
			msg := nats.NewMsg(subjects.Room(endpoints[in.Event]))
			msg.Header.Set(subjects.CommandID, id)
			msg.Data = body
			wait := 20*time.Millisecond + pauseUpTo(r, attempt)
			msg.Header.Set(subjects.TimeoutMs, strconv.FormatInt(wait.Milliseconds(), 10))
			subjects.SetTime(msg.Header, subjects.Deadline, time.Now().Add(wait))
			try, cancel := context.WithTimeout(ctx, wait)
			reply, err := nc.RequestMsgWithContext(try, msg)
			cancel()
			if err == nil {
				r, err := decode(reply)
				if err == nil || !again(err) {
					return r, sure, err
				}
			}
			sure = false
			if !pause(ctx, pauseUpTo(r, 50*time.Millisecond)) {
				return room.Result{}, sure, ctx.Err()
			}
		}
	}
}

func decode(reply *nats.Msg) (r room.Result, err error) {
	if reply.Header.Get(micro.ErrorCodeHeader) == "" {
		return r, json.Unmarshal(reply.Data, &r)
	}
	e := &room.Error{}
	if err := json.Unmarshal(reply.Data, e); err != nil {
		return r, err
	}
	return r, e
}

// again reports whether the same command may succeed a moment later.
func again(err error) bool {
	for _, c := range []room.Code{room.CodeConflict, room.CodeUnavailable, room.CodeDeadlineExceeded} {
		if errors.Is(err, &room.Error{Code: c}) {
			return true
		}
	}
	return false
}

func pauseUpTo(r *rand.Rand, most time.Duration) time.Duration {
	return time.Millisecond + time.Duration(r.Int64N(int64(most)))
}
