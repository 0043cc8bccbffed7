package demo

import (
	"fmt"
	"math"
	"time"

	"github.com/roombus/roombus/internal/audit"
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
	KindScene   Kind = "scene"   // what happens beside the commands
	KindExplain Kind = "explain" // a command whose story is read back; verdicts and results follow
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
	Fields    []string       `json:"fields,omitempty"` // that an app changed
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

// storyEntries are what the streams remember of a command.
func storyEntries(id string, found []audit.Record) []Entry {
	entries := []Entry{{Kind: KindExplain, Text: "roombus explain " + id}}
	for _, r := range found {
		switch {
		case r.Rejection != nil:
			entries = append(entries, verdictEntries(r.Rejection.Error.Apps)...)
			entries = append(entries, resultEntry(room.Result{}, &r.Rejection.Error))
		case r.Event != nil:
			entries = append(entries, verdictEntries(r.Event.Data.Apps)...)
			entries = append(entries, resultEntry(r.Event.Result(), nil))
		}
	}
	return entries
}

func verdictEntries(apps []room.AppOutcome) []Entry {
	var entries []Entry
	for _, v := range apps {
		entries = append(entries, Entry{
			Kind: KindVerdict, App: v.App, Interface: v.Interface, Outcome: v.Outcome, Text: v.Reason, Fields: v.Changed, Ms: v.Ms,
		})
	}
	return entries
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d.Microseconds())) / 1000
}
