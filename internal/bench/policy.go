package bench

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// MaxPolicies bounds the policies of a cell.
const MaxPolicies = 20

// bans is the name of the document with the ids of banned users.
const bans = "bans"

// banned is the number of ids in the document. With the default max_payload of a NATS server a
// document with more of them is too large.
const banned = 100_000

// banList returns the document. No user of a benchmark is in it.
func banList() []byte {
	var list bytes.Buffer
	for n := range banned {
		list.WriteByte("[,"[min(n, 1)])
		fmt.Fprintf(&list, `"x%05x"`, n)
	}
	list.WriteByte(']')
	return list.Bytes()
}

// denials are the rules of the policies, by their names. None of them denies a command of a benchmark.
var denials = []struct {
	name string
	rule room.Rule
}{
	{"bans", room.Rule{Deny: `user.id in params.bans`, Reason: "banned"}},
	{"capacity", room.Rule{Deny: `room.memberCount >= 10000000`, Reason: "full"}},
	{"names", room.Rule{Deny: `!user.username.matches("^[a-z][a-z0-9._-]+$")`, Reason: "choose another name"}},
	{"roles", room.Rule{Deny: `!("admin" in actor.roles) && room.type == "private_group"`, Reason: "for admins"}},
	{"hours", room.Rule{Deny: `event.time.getHours("Europe/Berlin") in [22, 23, 0, 1, 2, 3, 4, 5] && "minor" in user.roles`, Reason: "closed at night"}},
}

// policies returns so many policies, each with a rule for every command of a benchmark.
func policies(count int) []room.Manifest {
	all := make([]room.Manifest, count)
	for n := range all {
		d := denials[n%len(denials)]
		m := room.Manifest{ID: d.name, Version: "1.0.0", Essentials: []room.Interface{}, Rules: make(map[room.Interface][]room.Rule)}
		if again := n / len(denials); again > 0 {
			m.ID += "-" + strconv.Itoa(again+1)
		}
		for _, i := range []room.Interface{room.PreRoomCreatePrevent, room.PreRoomUserJoined, room.PreRoomUserLeave} {
			m.Implements = append(m.Implements, i)
			m.Rules[i] = []room.Rule{d.rule}
		}
		if d.name == bans {
			m.Params, m.Essentials = []string{bans}, m.Implements
		}
		all[n] = m
	}
	return all
}

// policyTimeout bounds the time to put all policies in force.
const policyTimeout = 30 * time.Second

// setPolicies puts so many policies in force at all services, and no others.
func (st *stage) setPolicies(ctx context.Context, count int) error {
	if count == st.policies {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, policyTimeout)
	defer cancel()
	client := roomclient.New(st.nc, roomclient.Config{})
	if !st.banned && count > 0 {
		if _, err := client.PutParam(ctx, room.ParamPut{Name: bans, Document: banList()}); err != nil {
			return fmt.Errorf("storing the ban list: %w", err)
		}
		st.banned = true
	}
	for n, p := range policies(max(count, st.policies)) {
		var err error
		switch {
		case n >= count:
			_, err = client.RemoveApp(ctx, p.ID)
		case n >= st.policies:
			_, err = client.RegisterApp(ctx, p)
		}
		if err != nil {
			return fmt.Errorf("setting policy %s: %w", p.ID, err)
		}
	}
	st.policies = count
	return nil
}
