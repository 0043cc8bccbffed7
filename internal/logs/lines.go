package logs

import (
	"maps"
	"sync"
	"time"
)

const (
	lineEvery = time.Minute
	maxKeys   = 1000
)

// Lines bounds the log lines of one kind to one line a minute for each key, such as a room. It
// remembers 1000 keys. All other keys share one line a minute. The zero Lines is ready. Its methods
// may be called concurrently.
type Lines struct {
	mu   sync.Mutex
	keys map[string]line
}

type line struct {
	at      time.Time // of the last line
	leftOut int       // lines left out since
}

// Admit reports whether to log a line about the key, and how many lines were left out before it.
func (l *Lines) Admit(key string, now time.Time) (leftOut int, log bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.keys[key]
	if !known && len(l.keys) >= maxKeys {
		maps.DeleteFunc(l.keys, func(_ string, old line) bool { return now.Sub(old.at) >= lineEvery })
		if len(l.keys) >= maxKeys {
			key = "" // the other keys
			last, known = l.keys[key]
		}
	}
	if known && now.Sub(last.at) < lineEvery {
		last.leftOut++
		l.keys[key] = last
		return 0, false
	}
	if l.keys == nil {
		l.keys = make(map[string]line)
	}
	l.keys[key] = line{at: now}
	return last.leftOut, true
}
