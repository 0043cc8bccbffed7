package peers

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

// announceAfter is how long apps are asked about a command before the other replicas get a notice.
// Most apps answer sooner.
const announceAfter = 5 * time.Millisecond

// undecided are the commands about which other replicas are asking slow apps. If the next command
// of the same user in the room would change nothing here, it goes to that replica, since the room
// is about to change.
type undecided struct {
	mu sync.Mutex
	by map[userInRoom]decider
}

type userInRoom struct{ room, user string }

// decider is the replica that decides a command, at most until that time.
type decider struct {
	replica string
	until   time.Time
}

// decidingNotice is the notice between replicas.
type decidingNotice struct {
	Replica string `json:"replica"`
	Room    string `json:"room"`
	User    string `json:"user"`
	ForMs   int64  `json:"forMs"` // maximum time until the decision; 0: the command is decided
}

// receive records the notice of another replica.
func (u *undecided) receive(n decidingNotice) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key, now := userInRoom{n.Room, n.User}, time.Now()
	if n.ForMs > 0 {
		if u.by == nil {
			u.by = make(map[userInRoom]decider)
		}
		maps.DeleteFunc(u.by, func(_ userInRoom, d decider) bool { return now.After(d.until) })
		u.by[key] = decider{n.Replica, now.Add(time.Duration(n.ForMs) * time.Millisecond)}
		return
	}
	if u.by[key].replica == n.Replica {
		delete(u.by, key)
	}
}

// of returns the replica that is deciding an earlier command of the same user in the room, empty if
// none is known.
func (u *undecided) of(roomID, user string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	d, ok := u.by[userInRoom{roomID, user}]
	if !ok || time.Now().After(d.until) {
		return ""
	}
	return d.replica
}

// drop forgets the commands of a replica that does not answer.
func (u *undecided) drop(replica string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.by, func(_ userInRoom, d decider) bool { return d.replica == replica })
}

// Subscribe receives the notices of other replicas while the connection is open.
func (p *Peers) Subscribe() error {
	_, err := p.cfg.Conn.Subscribe(subjects.Deciding, func(msg *nats.Msg) {
		var n decidingNotice
		if json.Unmarshal(msg.Data, &n) == nil && n.Replica != p.cfg.ID {
			p.undecided.receive(n)
		}
	})
	return err
}

// AnnounceWhenSlow sends a notice to the other replicas if apps are asked about the command for
// longer than announceAfter. isAsking reports whether they are, and is called concurrently. The
// caller calls decided when the command is decided.
func (p *Peers) AnnounceWhenSlow(ctx context.Context, c rules.Command, isAsking func() bool) (decided func()) {
	n := decidingNotice{Replica: p.cfg.ID, Room: c.Request.Target(), User: rules.UserID(c.Request)}
	if n.User == "" {
		return func() {}
	}
	var mu sync.Mutex
	var announced, ended bool
	var timer *time.Timer
	mu.Lock() // the function may run before timer is assigned
	timer = time.AfterFunc(announceAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ended:
		case !isAsking():
			timer.Reset(announceAfter)
		default:
			announced = true
			deadline, _ := ctx.Deadline()
			n.ForMs = max(1, time.Until(deadline).Milliseconds())
			p.publishDeciding(n)
		}
	})
	mu.Unlock()
	return func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		if ended = true; announced {
			n.ForMs = 0
			p.publishDeciding(n)
		}
	}
}

// publishDeciding publishes a notice on a best-effort basis: a replica that misses it answers from
// its own state.
func (p *Peers) publishDeciding(n decidingNotice) {
	if body, err := json.Marshal(n); err == nil {
		_ = p.cfg.Conn.Publish(subjects.Deciding, body)
	}
}
