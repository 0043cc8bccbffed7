package roomsvc

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// tellAfter is how long apps are asked about a command before the other replicas are told. Most answer
// sooner.
const announceAfter = 5 * time.Millisecond

// undecided are the commands about which other replicas ask apps that take their time. The next command
// of the same user in the room goes to that replica if it would change nothing here: what it finds here
// is about to change.
type undecided struct {
	mu sync.Mutex
	by map[userInRoom]decider
}

type userInRoom struct{ room, user string }

// decider is the replica that decides about a command, until that time at the latest.
type decider struct {
	replica string
	until   time.Time
}

// decidingWord is what replicas tell each other.
type decidingNotice struct {
	Replica string `json:"replica"`
	Room    string `json:"room"`
	User    string `json:"user"`
	ForMs   int64  `json:"forMs"` // how long it may take at the most; 0: it has been decided
}

// hear takes note of what another replica tells.
func (u *undecided) receive(word decidingNotice) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key, now := userInRoom{word.Room, word.User}, time.Now()
	if word.ForMs > 0 {
		if u.by == nil {
			u.by = make(map[userInRoom]decider)
		}
		maps.DeleteFunc(u.by, func(_ userInRoom, d decider) bool { return now.After(d.until) })
		u.by[key] = decider{word.Replica, now.Add(time.Duration(word.ForMs) * time.Millisecond)}
		return
	}
	if u.by[key].replica == word.Replica {
		delete(u.by, key)
	}
}

// of is the replica that decides about an earlier command of the same user in the room, empty if none is
// known.
func (u *undecided) of(c room.Command) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	d, ok := u.by[userInRoom{c.Request.Target(), room.UserID(c.Request)}]
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

// listenToReplicas hears which commands other replicas are deciding.
func (s *Service) subscribeDeciding() error {
	_, err := s.nc.Subscribe(subjects.Deciding, func(msg *nats.Msg) {
		var word decidingNotice
		if json.Unmarshal(msg.Data, &word) == nil && word.Replica != s.id {
			s.undecided.receive(word)
		}
	})
	return err
}

// tellWhenSlow tells the other replicas of a command about which apps are asked for longer than a
// moment, until it is told that the command has been decided.
func (s *Service) announceWhenSlow(ctx context.Context, c room.Command, place *ticket) (decided func()) {
	word := decidingNotice{Replica: s.id, Room: c.Request.Target(), User: room.UserID(c.Request)}
	if place == nil || word.User == "" || len(s.apps.rounds(c.Request.Event())) == 0 {
		return func() {}
	}
	var mu sync.Mutex
	var told, ended bool
	var timer *time.Timer
	mu.Lock() // the function may run before the timer is known
	timer = time.AfterFunc(announceAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ended:
		case !place.isAsking():
			timer.Reset(announceAfter)
		default:
			told = true
			deadline, _ := ctx.Deadline()
			word.ForMs = max(1, time.Until(deadline).Milliseconds())
			s.publishDeciding(word)
		}
	})
	mu.Unlock()
	return func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		if ended = true; told {
			word.ForMs = 0
			s.publishDeciding(word)
		}
	}
}

// tellReplicas does its best: a replica that does not hear of it answers as it would without.
func (s *Service) publishDeciding(word decidingNotice) {
	if body, err := json.Marshal(word); err == nil {
		_ = s.nc.Publish(subjects.Deciding, body)
	}
}
