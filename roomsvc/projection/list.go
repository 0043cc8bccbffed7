package projection

import (
	"strings"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// maxExamined is the number of rooms that List examines at most while it holds the lock. It is not
// less than the limit of a page.
const maxExamined = room.MaxPage

// List returns a page of the live rooms that match the request, and the cursor of the next page if
// there may be more. A page may have less than its limit, even no rooms, and still have a cursor:
// List examines at most maxExamined rooms. An index has the rooms of a member, and the rooms in the
// order of their slugified names. Other filters are checked room by room. The error is of code
// invalid_request for a cursor of another order.
func (p *Projection) List(r room.ListRequest) (page []room.Room, next string, err error) {
	behind, err := parseCursor(r)
	if err != nil {
		return nil, "", err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.progress.checkWhole(); err != nil {
		return nil, "", err
	}
	limit, examined := room.PageSize(r.Limit), 0
	page = make([]room.Room, 0, min(limit, p.rooms.index.byID.Len()))
	var last *rules.State
	p.rooms.index.after(r, behind, func(s *rules.State) bool {
		if len(page) == limit || examined == maxExamined {
			next = CursorAfter(r, *last.Room)
			return false
		}
		if matches(r, s.Room) {
			page = append(page, *s.Room)
		}
		last = s
		examined++
		return true
	})
	return page, next, nil
}

// matches reports whether a room has the type and the name that the request asks for.
func matches(r room.ListRequest, is *room.Room) bool {
	return (r.Type == "" || is.Type == r.Type) && strings.HasPrefix(is.SlugifiedName, r.SlugifiedNamePrefix)
}

// byName reports whether the rooms come in the order of their slugified names, not of their ids.
func byName(r room.ListRequest) bool { return r.SlugifiedNamePrefix != "" && r.Member == "" }

// cursor is a place between two rooms. The name is empty in the order of ids.
type cursor struct{ id, name string }

// CursorAfter returns the cursor of the page behind that room: its id, and in the order of names its
// name after a colon.
func CursorAfter(r room.ListRequest, last room.Room) string {
	if byName(r) {
		return last.ID + ":" + last.SlugifiedName
	}
	return last.ID
}

// parseCursor returns the cursor of the request. The room may no longer exist.
func parseCursor(r room.ListRequest) (cursor, error) {
	id, name, named := strings.Cut(r.Cursor, ":")
	if r.Cursor != "" && (named != byName(r) || named && !strings.HasPrefix(name, r.SlugifiedNamePrefix)) {
		return cursor{}, room.Errorf(room.CodeInvalidRequest, "cursor %.80q is of a list with other filters: begin without a cursor", r.Cursor)
	}
	return cursor{id, name}, nil
}
