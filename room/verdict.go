package room

import (
	"encoding/json"
	"fmt"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of what an app says beside its verdict. What is longer is cut off; the mark that says so
// is within the bound.
const (
	MaxReasonBytes = 512
	MaxWarnings    = 8 // of MaxReasonBytes each
)

// Decision is the word of a verdict.
type Decision string

// The decisions an app can take.
const (
	Allow Decision = "allow"
	Deny  Decision = "deny"
	Skip  Decision = "skip" // not my business
)

// Outcome is what is recorded of an app that has decided so.
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

// Content names what an allowing verdict carries beside its word.
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
	Reason   string          `json:"reason,omitempty"`   // shown to the user who was refused
	Warnings []string        `json:"warnings,omitempty"` // shown to the user although allowed
	Extend   *Extension      `json:"extend,omitempty"`   // PreRoomCreateExtend only
	Modify   json.RawMessage `json:"modify,omitempty"`   // PreRoomCreateModify only: an RFC 7396 merge patch of the room
	Replace  json.RawMessage `json:"replace,omitempty"`  // PreRoomCreateModify only, instead of Modify: the room as it shall be
}

// WithinBounds returns the verdict with its reason and its warnings made valid UTF-8 and cut to
// their bounds, so that a denial does not get lost for its text.
func (v Verdict) WithinBounds() Verdict {
	v.Reason = cut(v.Reason)
	v.Warnings = slices.Clone(v.Warnings[:min(len(v.Warnings), MaxWarnings)])
	for n, w := range v.Warnings {
		v.Warnings[n] = cut(w)
	}
	return v
}

// Modified is the room that the verdict makes of r, as JSON; nil if it leaves the room alone.
func (v Verdict) Modified(r Room) ([]byte, error) {
	if v.Modify == nil {
		return v.Replace, nil
	}
	record, err := json.Marshal(&r)
	if err != nil {
		return nil, fmt.Errorf("encoding the room: %w", err)
	}
	modified, err := MergePatch(record, v.Modify)
	if err != nil {
		return nil, fmt.Errorf("the merge patch cannot be applied: %w", err)
	}
	return modified, nil
}

// Extension is what an app adds to a room on its way to being created. A handler may set custom
// fields to any Go value that encodes as JSON; read back, a number is a json.Number.
type Extension struct {
	CustomFields map[string]any `json:"customFields,omitempty"`
	Members      []User         `json:"members,omitempty"`
}

// ParseVerdict reads the reply of an app to a pre-event of interface i. Everything about it
// must be right: a verdict that is half understood is not understood. Only the text of a reason or
// a warning is mended where it is not UTF-8.
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

// maxVerdictNesting lets a verdict hold, one level deeper, what a request may hold.
const maxVerdictNesting = MaxNesting + 1

// decodeVerdict reads a verdict strictly. In one that changes nothing about the room it takes text
// that is not UTF-8, and null for a warning: a denial must not get lost for its text.
func decodeVerdict(data []byte) (v Verdict, err error) {
	if tooDeep(data, maxVerdictNesting) {
		return v, invalid("the verdict is nested deeper than %d arrays and objects", maxVerdictNesting)
	}
	if err = decode(data, &v, strict); err != nil {
		var said Verdict
		mending := jsonv2.JoinOptions(strict, jsontext.AllowInvalidUTF8(true), jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(keepNumber)))
		if jsonv2.Unmarshal(data, &said, mending) != nil {
			return v, err
		}
		if said.Extend != nil || said.Modify != nil || said.Replace != nil {
			return v, err
		}
		v = said
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
