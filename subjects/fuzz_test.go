package subjects_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/subjects"
)

var at = time.Date(2026, 1, 2, 15, 4, 5, 678901000, time.UTC)

// bodies returns the golden files of package room.
func bodies(f *testing.F) map[string][]byte {
	f.Helper()
	files, err := filepath.Glob("../room/testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	all := make(map[string][]byte)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = body
	}
	return all
}

// headerLines returns a message's headers as text, one per line.
func headerLines(h subjects.Headers) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[key] {
			lines = append(lines, key+": "+value)
		}
	}
	return strings.Join(lines, "\n")
}

func readHeaders(text string) subjects.Headers {
	h := make(subjects.Headers)
	for line := range strings.SplitSeq(text, "\n") {
		if key, value, ok := strings.Cut(line, ": "); ok {
			h[key] = append(h[key], value)
		}
	}
	return h
}

// FuzzDecodePost: a message of the stream decodes to an event or an error. An event does not change when it
// is encoded and decoded. A room applies it completely or not at all, and then accepts its next event.
func FuzzDecodePost(f *testing.F) {
	all := bodies(f)
	for n, e := range []room.EventType{room.EventCreate, room.EventDelete, room.EventUserJoin, room.EventUserLeave} {
		name := []string{"pre_create", "pre_delete", "pre_userjoin", "pre_userleave"}[n]
		var data room.Data
		require.NoError(f, room.DecodeLenient(all[name], &data))
		event := room.Event{
			ID: "c" + strconv.Itoa(n), Type: e, Room: data.Room.ID, Replica: "s1", Time: at, Version: uint64(min(n, 1)) + 1, Data: data,
			Previous: room.Latest{Create: uint64(n), UserJoin: 1}, CausedBy: []string{"c0", "c-1", "c_2", "c3"}[:n],
		}
		subject, h, body, err := subjects.EncodePost(event, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		require.NoError(f, err)
		h[subjects.ExpectedSeq] = []string{"9"}
		h[subjects.ExpectedSeqSubject] = []string{subjects.PostsOf(event.Room)}
		f.Add(subject, headerLines(h), body, uint64(10))
		f.Add(subject, headerLines(h), []byte(strings.ReplaceAll(string(body), `"alice"`, `""`)), uint64(10))
	}
	for _, body := range all {
		f.Add("room.post.create.r1", "ce-type: room.post.create", body, uint64(1))
	}
	f.Fuzz(func(t *testing.T, subject, headers string, body []byte, seq uint64) {
		e, err := subjects.DecodePost(subject, readHeaders(headers), body, seq)
		if err != nil {
			return
		}
		requireSamePost(t, e)
		for _, s := range states(t, e) {
			requireWholeOrNot(t, s, e)
		}
	})
}

func requireSamePost(t *testing.T, e room.Event) {
	subject, h, body, err := subjects.EncodePost(e, "")
	require.NoError(t, err)
	h[subjects.ExpectedSeq] = []string{strconv.FormatUint(e.Expected, 10)}
	h[subjects.ExpectedSeqSubject] = []string{subjects.PostsOf(e.Room)}
	again, err := subjects.DecodePost(subject, h, body, e.Seq)
	require.NoError(t, err)
	require.True(t, e.Time.Equal(again.Time), "%s is not %s", e.Time, again.Time)
	again.Time = e.Time
	require.Equal(t, text(t, e), text(t, again))
	text(t, e.Result())
}

func text(t *testing.T, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

// states returns states that the event may be applied to: no room, an existing room, a deleted room.
func states(t *testing.T, e room.Event) []*rules.State {
	created := room.Event{Type: room.EventCreate, Room: e.Room, Seq: 9, Version: 1, Data: room.Data{
		Room: room.Room{ID: e.Room, SlugifiedName: "r", Type: room.Channel}, Members: []room.User{{ID: "alice"}, {ID: "carol"}},
	}}
	live, deleted := &rules.State{}, &rules.State{}
	for _, s := range []*rules.State{live, deleted} {
		require.NoError(t, rules.Evolve(s, created))
	}
	gone := room.Event{Type: room.EventDelete, Room: e.Room, Seq: 10, Expected: 9, Version: 2, Data: room.Data{Room: room.Room{ID: e.Room}}}
	require.NoError(t, rules.Evolve(deleted, gone))
	return []*rules.State{{}, live, deleted}
}

func requireWholeOrNot(t *testing.T, s *rules.State, e room.Event) {
	before := picture(t, s)
	if err := rules.Evolve(s, e); err != nil {
		require.Equal(t, before, picture(t, s), "an event that is not applied changes nothing: %v", err)
		s.Skip(e.Seq)
	}
	require.GreaterOrEqual(t, s.Seq, e.Seq)
	if s.Room != nil {
		require.Len(t, s.MembersAfter("", 1<<20), s.Room.MemberCount, "every member can be listed")
	}
	if s.Seq == ^uint64(0) {
		return // there is no next sequence
	}
	next := room.Event{Type: room.EventCreate, Room: e.Room, Seq: s.Seq + 1, Expected: s.Seq, Version: 1, Data: room.Data{Room: room.Room{ID: e.Room}}}
	if s.Room != nil {
		next.Type, next.Version = room.EventDelete, s.Room.Version+1
	}
	require.NoError(t, rules.Evolve(s, next), "the room accepts its next event")
}

// picture has all observable parts of a state.
func picture(t *testing.T, s *rules.State) string {
	return text(t, []any{s.Room != nil, s.Room, s.Seq, s.Applied, s.Latest, s.IsMember(""), s.MembersAfter("", 1<<20)})
}

// FuzzDecodeRejection: a rejection does not change when it is encoded and decoded.
func FuzzDecodeRejection(f *testing.F) {
	for _, body := range bodies(f) {
		f.Add("room.rejected.join.r1", "c1", body)
	}
	f.Fuzz(func(t *testing.T, subject, id string, body []byte) {
		r, err := subjects.DecodeRejection(subject, subjects.Headers{subjects.ID: {id}}, body)
		if err != nil {
			return
		}
		require.True(t, room.IsToken(r.ID))
		text(t, r.Asked())
		again, h, written, err := subjects.EncodeRejection(r, "")
		require.NoError(t, err)
		require.Equal(t, subject, again)
		read, err := subjects.DecodeRejection(again, h, written)
		require.NoError(t, err)
		require.Equal(t, text(t, r), text(t, read))
	})
}

// FuzzTimeLeft: for any header the time left is positive and can be added to any time.
func FuzzTimeLeft(f *testing.F) {
	for _, seed := range []string{"", "0", "1", "-1", "250", "+5", "1e3", "2147483647", "2147483648", "9223372036854775807", " 1", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		left := subjects.TimeLeft(subjects.Headers{subjects.TimeoutMs: {value}}, time.Second)
		require.Positive(t, left)
		require.LessOrEqual(t, left, (1<<31)*time.Millisecond)
	})
}
