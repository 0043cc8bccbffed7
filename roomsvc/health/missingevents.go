package health

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/roombus/roombus/internal/logs"
	"github.com/roombus/roombus/subjects"
)

// events records the events of live rooms that the stream lacks. Operators may remove events, and
// servers may lose them.
type events struct {
	cfg     Config
	missing atomic.Uint64
	lines   logs.Lines // about rooms with missing events
}

// CheckEvents checks whether the stream has all events of the live rooms. The caller calls it
// periodically.
func (e *events) CheckEvents(ctx context.Context) {
	missing, known := e.cfg.Rooms().MissingEvents(ctx)
	if !known {
		return
	}
	const found = "events of live rooms were purged, deleted, or removed by a limit"
	switch was := e.missing.Swap(missing); {
	case missing > 0 && was == 0:
		e.cfg.Logger.Error("events of rooms missing from the stream", "found", found, "stream", subjects.Events, "missing", missing,
			"remedy", "restore the stream from a backup")
	case missing == 0 && was > 0:
		e.cfg.Logger.Info("no longer: events of rooms missing from the stream", "was", found, "still", "")
	}
}

// EventsMissing returns the number of missing events, as of the last check.
func (e *events) EventsMissing() uint64 { return e.missing.Load() }

// RoomBehind logs that the stream has events of a room only up to a sequence before the last one
// that was seen.
func (e *events) RoomBehind(roomID string, has, seen uint64) {
	if leftOut, log := e.lines.Admit(roomID, time.Now()); log {
		e.cfg.Logger.Error("events of a room missing from the stream", "room", roomID, "has", has, "seen", seen, "left_out", leftOut)
	}
}
