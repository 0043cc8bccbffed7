package linear_test

import (
	"errors"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/linear"
	"github.com/roombus/roombus/room"
)

// A story is a sequence of moments: the begin and the end of a command, by its id.
type moment struct {
	begin string // id
	in    linear.Input
	end   string // id
	out   answer
}

type answer struct {
	changed bool
	version uint64
	members int
	seq     uint64
	name    string
	err     error
}

func begin(id string, e room.EventType, user string) moment {
	return moment{begin: id, in: linear.Input{Event: e, Room: "r", User: user, Refused: user == "banned"}}
}

// renames begins an update of the room, or of a user if there is one.
func renames(id, user, name string) moment {
	m := begin(id, room.EventUpdate, user)
	if m.in.Name = name; user != "" {
		m.in.Event = room.EventUserUpdate
	}
	return m
}

// named is an answer about a room of that name.
func named(m moment, name string) moment {
	m.out.name = name
	return m
}

func done(id string, version uint64, members int, seq uint64) moment {
	return moment{end: id, out: answer{changed: true, version: version, members: members, seq: seq}}
}

func unchanged(id string, version uint64, members int) moment {
	return moment{end: id, out: answer{version: version, members: members}}
}

func failed(id string, code room.Code) moment {
	return moment{end: id, out: answer{err: room.Errorf(code, "m")}}
}

func tell(story []moment) *linear.History {
	h := linear.NewHistory()
	ops := make(map[string]*linear.Operation)
	for n, m := range story {
		if m.begin != "" {
			ops[m.begin] = h.Begin(n, m.begin, m.in)
			continue
		}
		r := room.Result{Changed: m.out.changed, Room: room.Room{Version: m.out.version, MemberCount: m.out.members, DisplayName: m.out.name}}
		if m.out.changed {
			r.Event = &room.EventRef{ID: m.end, Seq: m.out.seq, Version: m.out.version}
		}
		h.End(ops[m.end], r, m.out.err, true)
	}
	return h
}

const (
	creates = room.EventCreate
	deletes = room.EventDelete
	joins   = room.EventUserJoin
	leaves  = room.EventUserLeave
)

// created is a room of one member, at sequence 1.
func created(then ...moment) []moment {
	return append([]moment{begin("c", creates, "owner"), done("c", 1, 1, 1)}, then...)
}

func stored(id string, version uint64, members int, seq uint64) room.Event {
	return room.Event{ID: id, Seq: seq, Version: version, Data: room.Data{Room: room.Room{MemberCount: members}}}
}

func TestHistories(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		story []moment
		extra []room.Event // stored though not acknowledged
		ok    bool
	}{
		"one after the other": {story: created(
			begin("j", joins, "a"), done("j", 2, 2, 4), begin("again", joins, "a"), unchanged("again", 2, 2),
			begin("l", leaves, "a"), done("l", 3, 1, 5), begin("d", deletes, "a"), done("d", 4, 1, 6),
			begin("gone", joins, "a"), failed("gone", room.CodeRoomNotFound), begin("c2", creates, "a"), done("c2", 1, 1, 9)), ok: true},
		"a refused user": {story: created(begin("j", joins, "banned"), failed("j", room.CodeUserNotAllowed)), ok: true},
		"at once, in the order of the stream": {story: created(
			begin("j", joins, "a"), begin("k", joins, "b"), done("j", 3, 3, 5), done("k", 2, 2, 4)), ok: true},
		"updates": {story: created(
			renames("n", "", "N"), named(done("n", 2, 1, 4), "N"), renames("again", "", "N"), named(unchanged("again", 2, 1), "N"),
			renames("o", "owner", "O"), named(done("o", 3, 1, 5), "N"), renames("same", "owner", "O"), named(unchanged("same", 3, 1), "N"),
			renames("x", "a", "A"), failed("x", room.CodeMemberNotFound),
			begin("j", joins, "a"), named(done("j", 4, 2, 6), "N"), renames("a", "a", "A"), named(done("a", 5, 2, 7), "N")), ok: true},
		"a lost name":              {story: created(renames("n", "", "N"), named(done("n", 2, 1, 4), "N"), begin("j", joins, "a"), done("j", 3, 2, 5))},
		"a stale name":             {story: created(renames("n", "", "N"), named(done("n", 2, 1, 4), "N"), begin("j", joins, "owner"), unchanged("j", 2, 1))},
		"a user's name kept":       {story: created(renames("o", "owner", "O"), done("o", 2, 1, 4), renames("p", "owner", ""), unchanged("p", 2, 1))},
		"a member that is missing": {story: created(begin("j", joins, "a"), done("j", 2, 2, 4), renames("a", "a", "A"), failed("a", room.CodeMemberNotFound))},
		"a lost join":              {story: created(begin("j", joins, "a"), done("j", 2, 2, 4), begin("l", leaves, "a"), unchanged("l", 1, 1))},
		"a version given twice":    {story: created(begin("j", joins, "a"), begin("k", joins, "b"), done("j", 2, 2, 4), done("k", 2, 2, 5))},
		"two rooms of one id":      {story: created(begin("c2", creates, "a"), done("c2", 1, 1, 4))},
		"a room that is not yet":   {story: append([]moment{begin("x", creates, "a"), failed("x", room.CodeRoomExists)}, created()...)},
		"a stale unchanged": {story: created(
			begin("j", joins, "a"), done("j", 2, 2, 4), begin("l", leaves, "a"), done("l", 3, 1, 5), begin("k", joins, "a"), unchanged("k", 2, 2))},
		"a refused user that is a member": {story: created(begin("j", joins, "banned"), done("j", 2, 2, 4))},
		"not in the order of the stream": {story: created(
			begin("d", deletes, "a"), done("d", 2, 1, 9), begin("c2", creates, "a"), done("c2", 1, 1, 8))},
		"no answer, and never done": {story: created(
			begin("j", joins, "a"), failed("j", room.CodeUnavailable), begin("k", joins, "b"), done("k", 2, 2, 4)), ok: true},
		"no answer, and done much later": {
			story: created(
				begin("j", joins, "a"), failed("j", room.CodeDeadlineExceeded), begin("k", joins, "b"), done("k", 2, 2, 4),
				begin("l", leaves, "b"), done("l", 4, 2, 6)),
			extra: []room.Event{stored("j", 3, 3, 5)}, ok: true,
		},
		"no answer, and done before it was sent": {
			story: created(
				begin("k", joins, "b"), done("k", 3, 3, 5), begin("j", joins, "a"), failed("j", room.CodeUnavailable)),
			extra: []room.Event{stored("j", 2, 2, 4)},
		},
		"the version is too high": {story: created(begin("j", joins, "a"), done("j", 3, 3, 5))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tell(c.story)
			events := c.extra
			for _, m := range c.story {
				if m.out.changed {
					e := stored(m.end, m.out.version, m.out.members, m.out.seq)
					e.Data.Room.DisplayName = m.out.name
					events = append(events, e)
				}
			}
			require.NoError(t, h.Settle(events))
			err := h.Check()
			if c.ok {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "room r")
			shown := regexp.MustCompile(`see (\S+)`).FindStringSubmatch(err.Error())[1]
			t.Cleanup(func() { _ = os.Remove(shown) })
			assert.FileExists(t, shown)
		})
	}
}

// The answers and the stored events must agree.
func TestHistory_Settle(t *testing.T) {
	t.Parallel()
	story := created(begin("j", joins, "a"), failed("j", room.CodeEssentialAppUnavailable))
	for name, c := range map[string]struct {
		events []room.Event
		err    string
	}{
		"as answered":           {events: []room.Event{stored("c", 1, 1, 1)}},
		"others may be there":   {events: []room.Event{stored("c", 1, 1, 1), stored("x", 1, 1, 2)}},
		"lost":                  {err: "command c was acknowledged as event 1, which is not stored"},
		"elsewhere":             {events: []room.Event{stored("c", 1, 1, 2)}, err: "command c was answered"},
		"twice":                 {events: []room.Event{stored("c", 1, 1, 1), stored("c", 1, 1, 1)}, err: "have the id c"},
		"refused and yet there": {events: []room.Event{stored("c", 1, 1, 1), stored("j", 2, 2, 2)}, err: "command j was answered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tell(story).Settle(c.events)
			if c.err == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.err)
		})
	}
}

// A try without an answer may commit after another was answered without a change. That answer must
// still have been true at its time.
func TestHistory_OvertakenCommand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version uint64 // of the answer
		members int
		ok      bool
	}{
		"true when it was said": {version: 1, members: 1, ok: true},
		"never true":            {version: 1, members: 2},
		"true because of it":    {version: 3, members: 1}, // then it should have been answered with its event
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tell(created())
			op := h.Begin(7, "l", linear.Input{Event: leaves, Room: "r", User: "a"})
			join := h.Begin(8, "j", linear.Input{Event: joins, Room: "r", User: "a"})
			h.End(op, room.Result{Room: room.Room{Version: c.version, MemberCount: c.members}}, nil, false)
			h.End(join, room.Result{Changed: true, Room: room.Room{Version: 2, MemberCount: 2}, Event: &room.EventRef{Seq: 2}}, nil, true)
			require.NoError(t, h.Settle([]room.Event{stored("c", 1, 1, 1), stored("j", 2, 2, 2), stored("l", 3, 1, 3)}))
			assert.Equal(t, 1, h.Summary().Overtaken)
			err := h.Check()
			if c.ok {
				assert.NoError(t, err)
				return
			}
			require.Error(t, err)
			_ = os.Remove(regexp.MustCompile(`see (\S+)`).FindStringSubmatch(err.Error())[1])
		})
	}
}

// An answer that says nothing about the room is not checked.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		sure bool
		want linear.Summary
	}{
		{err: nil, want: linear.Summary{Unchanged: 1}},
		{err: room.Errorf(room.CodeRoomExists, "m"), want: linear.Summary{Refused: 1}},
		{err: room.Errorf(room.CodeOverloaded, "m"), sure: true, want: linear.Summary{Nothing: 1}},
		{err: room.Errorf(room.CodeOverloaded, "m"), want: linear.Summary{Unknown: 1}},
		{err: room.Errorf(room.CodeConflict, "m"), sure: true, want: linear.Summary{Unknown: 1}},
		{err: room.Errorf(room.CodeUnavailable, "m"), sure: true, want: linear.Summary{Unknown: 1}},
		{err: room.Errorf(room.CodeDeadlineExceeded, "m"), sure: true, want: linear.Summary{Unknown: 1}},
		{err: errors.New("no answer"), sure: true, want: linear.Summary{Unknown: 1}},
	} {
		h := linear.NewHistory()
		h.End(h.Begin(0, "x", linear.Input{}), room.Result{}, c.err, c.sure)
		assert.Equal(t, c.want, h.Summary(), c.err)
	}
}
