package demo

import (
	"fmt"
	"math"
	"time"

	"github.com/roombus/roombus/internal/audit"
	"github.com/roombus/roombus/room"
)

// Kind is the kind of an entry.
type Kind string

// The kinds of entries, in their order within one step.
const (
	KindCommand Kind = "command" // a request, and how long the answer took
	KindVerdict Kind = "verdict" // the verdict of an app, and how long it took
	KindWarning Kind = "warning" // the warning of an app that allowed the command
	KindResult  Kind = "result"  // the result of the command
	KindEvent   Kind = "event"   // the reaction of an app to the post-event
	KindScene   Kind = "scene"   // a change of the stage
	KindExplain Kind = "explain" // a command whose records are read from the streams
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

	Found []audit.Record `json:"-"` // the records behind Story
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

// explained makes an entry from the records of a command.
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
