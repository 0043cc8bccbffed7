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
	KindExplain Kind = "explain" // a command whose story is read back from the streams
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
	Story     []Entry        `json:"story,omitempty"` // of a command: its verdicts and results, try by try

	Found []audit.Record `json:"-"` // what the story is told from
}

func resultEntry(r room.Result, refused *room.Error) Entry {
	switch {
	case refused != nil:
		return Entry{Kind: KindResult, Code: refused.Code, App: refused.App, Text: refused.Message, Changed: new(false)}
	case !r.Changed:
		return Entry{Kind: KindResult, Text: "nothing to change, no app was asked", Changed: new(false)}
	}
	return Entry{
		Kind: KindResult, Changed: new(true), Event: r.Event,
		Text: fmt.Sprintf("committed: %s is at version %d, members %d", r.Room.ID, r.Room.Version, r.Room.MemberCount),
	}
}

// explained is what the streams remember of a command.
func explained(id string, found []audit.Record) Entry {
	e := Entry{Kind: KindExplain, Text: "roombus explain " + id, Found: found}
	for _, r := range found {
		switch {
		case r.Rejection != nil:
			e.Story = append(e.Story, verdictEntries(r.Rejection.Error.Apps)...)
			e.Story = append(e.Story, resultEntry(room.Result{}, &r.Rejection.Error))
		case r.Event != nil:
			e.Story = append(e.Story, verdictEntries(r.Event.Data.Apps)...)
			e.Story = append(e.Story, resultEntry(r.Event.Result(), nil))
		}
	}
	return e
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
