package demo

import (
	"fmt"
	"math"
	"time"

	"github.com/roombus/roombus/room"
)

// Kind is what an entry of the timeline is about.
type Kind string

// The kinds of entries, in the order in which they follow each other in one step.
const (
	KindCommand Kind = "command" // what was asked for, and how long the answer took
	KindVerdict Kind = "verdict" // what an app said to it, and how long that took
	KindWarning Kind = "warning" // what an app that allowed it warned of
	KindResult  Kind = "result"  // what came of it
	KindEvent   Kind = "event"   // what an app did with the post-event
)

// Entry is one line of the timeline.
type Entry struct {
	Kind      Kind           `json:"kind"`
	App       string         `json:"app,omitempty"`
	Interface room.Interface `json:"interface,omitempty"`
	Outcome   room.Outcome   `json:"outcome,omitempty"`
	Code      room.Code      `json:"code,omitempty"` // of a result that is an error
	Changed   *bool          `json:"changed,omitempty"`
	Text      string         `json:"text,omitempty"`
	Ms        float64        `json:"ms,omitempty"`
	Event     *room.EventRef `json:"event,omitempty"`
}

func resultEntry(r room.Result, refused *room.Error) Entry {
	switch {
	case refused != nil:
		return Entry{Kind: KindResult, Code: refused.Code, App: refused.App, Text: refused.Message, Changed: new(false)}
	case !r.Changed:
		return Entry{Kind: KindResult, Text: "nothing to change, nobody was asked", Changed: new(false)}
	}
	return Entry{
		Kind: KindResult, Changed: new(true), Event: r.Event,
		Text: fmt.Sprintf("committed: %s is at version %d, members %d", r.Room.ID, r.Room.Version, r.Room.MemberCount),
	}
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d.Microseconds())) / 1000
}
