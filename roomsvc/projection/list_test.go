package projection

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
)

// pages reads all pages of a list. It returns the ids of the rooms and the number of pages.
func pages(t require.TestingT, p *Projection, r room.ListRequest) (ids []string, pages int) {
	for {
		page, next, err := p.List(r)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), room.PageSize(r.Limit))
		for _, is := range page {
			ids = append(ids, is.ID)
		}
		if pages++; next == "" {
			return ids, pages
		}
		require.NotEqual(t, r.Cursor, next)
		r.Cursor = next
	}
}

// Every list has the rooms that a scan of all rooms finds.
func TestList_EqualsScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawHistory(t).all
		r := room.ListRequest{
			Member:              rapid.SampledFrom([]string{"", "", "u", "owner", "stranger"}).Draw(t, "member"),
			SlugifiedNamePrefix: rapid.SampledFrom([]string{"", "", "x", "x-", "x:", "z", "none"}).Draw(t, "prefix"),
			Type:                rapid.SampledFrom([]room.Type{"", room.Channel, room.LiveChat}).Draw(t, "type"),
			Limit:               rapid.IntRange(1, 3).Draw(t, "limit"),
		}
		var want []room.Room
		for _, s := range p.rooms.byID {
			if s.Room == nil || r.Member != "" && !s.IsMember(r.Member) || r.Type != "" && s.Room.Type != r.Type || !strings.HasPrefix(s.Room.SlugifiedName, r.SlugifiedNamePrefix) {
				continue
			}
			want = append(want, *s.Room)
		}
		slices.SortFunc(want, func(a, b room.Room) int { return strings.Compare(a.ID, b.ID) })
		if r.SlugifiedNamePrefix != "" && r.Member == "" {
			slices.SortStableFunc(want, func(a, b room.Room) int { return strings.Compare(a.SlugifiedName, b.SlugifiedName) })
		}
		var ids []string
		for _, is := range want {
			ids = append(ids, is.ID)
		}
		got, _ := pages(t, p, r)
		require.Equal(t, ids, got)
	})
}

// listed is a projection of rooms whose slugified names have the opposite order of their ids. All of
// them have the member owner. Only the last one is of type live_chat.
func listed(t *testing.T, rooms int) *Projection {
	t.Helper()
	p := newProjection(time.Time{})
	for n := range rooms {
		id, kind := fmt.Sprintf("r%05d", n), room.Channel
		if n == rooms-1 {
			kind = room.LiveChat
		}
		made := room.Room{ID: id, SlugifiedName: fmt.Sprintf("n%05d", rooms-n), Type: kind}
		e := room.Event{
			ID: id, Type: room.EventCreate, Room: id, Time: noon, Seq: uint64(n + 1), Version: 1,
			Data: room.Data{Room: made, Members: []room.User{{ID: "owner"}}},
		}
		require.NoError(t, p.consume(e, e.Time))
	}
	return p
}

// A page of a rare type examines a bounded number of rooms.
func TestList_ExaminesBoundedNumberOfRooms(t *testing.T) {
	t.Parallel()
	p := listed(t, 2*maxExamined+500)
	last := fmt.Sprintf("r%05d", 2*maxExamined+499)
	for name, c := range map[string]struct {
		r     room.ListRequest
		pages int
	}{
		"by id":                  {room.ListRequest{Type: room.LiveChat}, 3},
		"of a member":            {room.ListRequest{Type: room.LiveChat, Member: "owner"}, 3},
		"by name, it is first":   {room.ListRequest{Type: room.LiveChat, SlugifiedNamePrefix: "n"}, 3},
		"the rarest name":        {room.ListRequest{SlugifiedNamePrefix: "n00001"}, 1},
		"the member with a name": {room.ListRequest{SlugifiedNamePrefix: "n00001", Member: "owner"}, 3},
	} {
		ids, n := pages(t, p, c.r)
		assert.Equal(t, []string{last}, ids, name)
		assert.Equal(t, c.pages, n, name)
	}
	page, next, err := p.List(room.ListRequest{Type: room.LiveChat})
	require.NoError(t, err)
	assert.Empty(t, page)
	assert.Equal(t, fmt.Sprintf("r%05d", maxExamined-1), next)
}

func TestList_LastPageHasNoCursor(t *testing.T) {
	t.Parallel()
	p := listed(t, 4)
	for _, r := range []room.ListRequest{{Limit: 4}, {Limit: 2}, {Limit: 2, Member: "owner"}, {Limit: 2, SlugifiedNamePrefix: "n"}} {
		ids, n := pages(t, p, r)
		assert.Len(t, ids, 4)
		assert.Equal(t, 4/r.Limit, n)
	}
}

// A room that has gone, or has another name, between two pages does not hide other rooms.
func TestList_CursorOutlivesItsRoom(t *testing.T) {
	t.Parallel()
	p := listed(t, 4)
	r := room.ListRequest{SlugifiedNamePrefix: "n", Limit: 2}
	page, next, err := p.List(r)
	require.NoError(t, err)
	assert.Equal(t, []string{"r00003", "r00002"}, []string{page[0].ID, page[1].ID})
	e := room.Event{Type: room.EventDelete, Room: "r00002", Time: noon, Seq: 5, Expected: 3, Version: 2, Data: room.Data{Room: room.Room{ID: "r00002"}}}
	require.NoError(t, p.consume(e, e.Time))
	r.Cursor = next
	ids, _ := pages(t, p, r)
	assert.Equal(t, []string{"r00001", "r00000"}, ids)
}

func TestList_CursorOfOtherFiltersIsRefused(t *testing.T) {
	t.Parallel()
	p := listed(t, 1)
	for _, r := range []room.ListRequest{
		{Cursor: "r00000:n00001"},
		{Cursor: "r00000:n00001", SlugifiedNamePrefix: "n", Member: "owner"},
		{Cursor: "r00000", SlugifiedNamePrefix: "n"},
		{Cursor: "r00000:n00001", SlugifiedNamePrefix: "m"},
	} {
		_, _, err := p.List(r)
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, "%+v", r)
	}
}

// FuzzList: a list with any cursor ends, and has no room twice.
func FuzzList(f *testing.F) {
	p := newProjection(time.Time{})
	for n, name := range []string{"a", "ab", "a:b", ":", "ü"} {
		id := fmt.Sprintf("r%d", n)
		made := room.Room{ID: id, SlugifiedName: name, Type: room.Types()[n%4]}
		e := room.Event{Type: room.EventCreate, Room: id, Seq: uint64(n + 1), Version: 1, Data: room.Data{Room: made, Members: []room.User{{ID: "u"}}}}
		require.NoError(f, p.consume(e, noon))
	}
	f.Add("u", "", "", "r1", 1)
	f.Add("", "a", "channel", "r0:a", 2)
	f.Add("", ":", "", "r0:::", 3)
	f.Fuzz(func(t *testing.T, member, prefix, kind, cursor string, limit int) {
		r := room.ListRequest{Member: member, SlugifiedNamePrefix: prefix, Type: room.Type(kind), Cursor: cursor, Limit: limit}
		if r.Validate() != nil {
			return
		}
		if _, _, err := p.List(r); err != nil {
			require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
			return
		}
		ids, _ := pages(t, p, r)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), len(ids))
	})
}
