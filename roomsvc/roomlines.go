package roomsvc

import (
	"maps"
	"sync"
	"time"
)

const (
	roomLineEvery = time.Minute
	maxRoomLines  = 1000
)

// roomLines bounds the log lines of one kind to one line a minute for each room. It remembers 1000
// rooms. All other rooms share one line a minute.
type roomLines struct {
	mu    sync.Mutex
	rooms map[string]roomLine
}

type roomLine struct {
	at      time.Time // of the last line
	leftOut int       // lines left out since
}

// admit reports whether to log a line about the room, and how many lines were left out before it.
func (l *roomLines) admit(roomID string, now time.Time) (leftOut int, log bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, known := l.rooms[roomID]
	if !known && len(l.rooms) >= maxRoomLines {
		maps.DeleteFunc(l.rooms, func(_ string, old roomLine) bool { return now.Sub(old.at) >= roomLineEvery })
		if len(l.rooms) >= maxRoomLines {
			roomID = "" // no room's id
			line, known = l.rooms[roomID]
		}
	}
	if known && now.Sub(line.at) < roomLineEvery {
		line.leftOut++
		l.rooms[roomID] = line
		return 0, false
	}
	if l.rooms == nil {
		l.rooms = make(map[string]roomLine)
	}
	l.rooms[roomID] = roomLine{at: now}
	return line.leftOut, true
}
