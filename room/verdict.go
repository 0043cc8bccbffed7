package room

import (
	"encoding/json"
	"fmt"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of an app's reason and warnings. Longer texts are cut; the bound includes the mark at the cut.
const (
	MaxReasonBytes = 512
	MaxWarnings    = 8 // of MaxReasonBytes each
)

// Decision is the decision in a verdict.
type Decision string

// The decisions of an app.
const (
	Allow Decision = "allow"
	Deny  Decision = "deny"
	Skip  Decision = "skip" // the event does not concern the app
)

// Outcome returns the outcome that is recorded for the decision.
func (d Decision) Outcome() Outcome {
	switch d {
	case Allow:
		return Allowed
	case Deny:
		return Denied
	case Skip:
		return Skipped
	}
	return ""
}

// Content is the kind of change in an allowing verdict.
type Content string

// The contents of verdicts.
const (
	ContentNone   Content = ""
	ContentExtend Content = "extend"
	ContentModify Content = "modify"
)

// Verdict is an app's reply to a pre-event.
type Verdict struct {
	Verdict  Decision        `json:"verdict"`
	Reason   string          `json:"reason,omitempty"`   // of a denial, shown to the user
	Warnings []string        `json:"warnings,omitempty"` // shown to the user if the action is allowed
	Extend   *Extension      `json:"extend,omitempty"`   // PreRoomCreateExtend only
	Modify   json.RawMessage `json:"modify,omitempty"`   // PreRoomCreateModify only: an RFC 7396 merge patch of the room
	Replace  json.RawMessage `json:"replace,omitempty"`  // PreRoomCreateModify only, instead of Modify: the whole modified room
}

// WithinBounds returns the verdict with its reason and its warnings made valid UTF-8 and cut to
// their bounds, so that no denial is dropped because of its text.
func (v Verdict) WithinBounds() Verdict {
	v.Reason = cut(v.Reason)
	v.Warnings = slices.Clone(v.Warnings[:min(len(v.Warnings), MaxWarnings)])
	for n, w := range v.Warnings {
		v.Warnings[n] = cut(w)
	}
	return v
}

// Modified returns the room r as changed by the verdict, as JSON. It is nil if the verdict does not change
// the room.
func (v Verdict) Modified(r Room) ([]byte, error) {
	if v.Modify == nil {
		return v.Replace, nil
	}
	record, err := json.Marshal(r) // not &r, which would move the room to the heap for every verdict
	if err != nil {
		return nil, fmt.Errorf("encoding the room: %w", err)
	}
	modified, err := MergePatch(record, v.Modify)
	if err != nil {
		return nil, fmt.Errorf("the merge patch cannot be applied: %w", err)
	}
	return modified, nil
}

// Extension has the custom fields and members that an app adds to a room before its creation. A handler
// may set custom fields to any Go value that encodes as JSON; a decoded number is a json.Number.
type Extension struct {
	CustomFields map[string]any `json:"customFields,omitempty"`
	Members      []User         `json:"members,omitempty"`
}

// ParseVerdict parses and validates the reply of an app to a pre-event of interface i. It is strict: it
// refuses the whole verdict if a part is invalid. It only repairs invalid UTF-8 in a reason or a
// warning.
func ParseVerdict(i Interface, data []byte) (Verdict, error) {
	v, err := decodeVerdict(data)
	if err != nil {
		return Verdict{}, err
	}
	switch v.Verdict {
	case Allow, Skip:
	case Deny:
		if !i.MayDeny() {
			return Verdict{}, invalid("%s cannot deny", i)
		}
	case "":
		return Verdict{}, invalid("verdict is required")
	default:
		return Verdict{}, invalid("verdict must be allow, deny or skip, not %.80q", string(v.Verdict))
	}
	if v.Extend != nil && (i.Content() != ContentExtend || v.Verdict != Allow) {
		return Verdict{}, invalid("extend belongs to the verdict allow of PreRoomCreateExtend, not to %s of %s", v.Verdict, i)
	}
	if err := v.validateModify(i); err != nil {
		return Verdict{}, err
	}
	if v.Extend != nil {
		for _, m := range v.Extend.Members {
			if err := m.Validate("extend.members"); err != nil {
				return Verdict{}, err
			}
		}
	}
	return v.WithinBounds(), nil
}

// maxVerdictNesting is one more than MaxNesting, because a verdict contains fields one level deeper than
// a request.
const maxVerdictNesting = MaxNesting + 1

// decodeVerdict strictly decodes a verdict. In a verdict that does not change the room it accepts invalid
// UTF-8, and null as a warning: no denial may be dropped because of its text.
func decodeVerdict(data []byte) (v Verdict, err error) {
	if tooDeep(data, maxVerdictNesting) {
		return v, invalid("the verdict is nested deeper than %d arrays and objects", maxVerdictNesting)
	}
	if err = decode(data, &v, strict); err != nil {
		var repaired Verdict
		repairing := jsonv2.JoinOptions(strict, jsontext.AllowInvalidUTF8(true), jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(keepNumber)))
		if jsonv2.Unmarshal(data, &repaired, repairing) != nil {
			return v, err
		}
		if repaired.Extend != nil || repaired.Modify != nil || repaired.Replace != nil {
			return v, err
		}
		v = repaired
	}
	if string(v.Modify) == "null" {
		v.Modify = nil
	}
	if string(v.Replace) == "null" {
		v.Replace = nil
	}
	return v, nil
}

func (v Verdict) validateModify(i Interface) error {
	if v.Modify != nil && v.Replace != nil {
		return invalid("modify and replace exclude each other")
	}
	for field, content := range map[string]json.RawMessage{"modify": v.Modify, "replace": v.Replace} {
		switch {
		case content == nil:
		case i.Content() != ContentModify || v.Verdict != Allow:
			return invalid("%s belongs to the verdict allow of PreRoomCreateModify, not to %s of %s", field, v.Verdict, i)
		case content[0] != '{':
			return invalid("%s must be a JSON object", field)
		}
	}
	return nil
}
