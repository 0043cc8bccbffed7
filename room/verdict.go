package room

import "encoding/json"

// Bounds of what an app says beside its verdict. What is longer is cut off.
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
}

// Extension is what an app adds to a room on its way to being created.
type Extension struct {
	CustomFields map[string]any `json:"customFields,omitempty"`
	Members      []User         `json:"members,omitempty"`
}

// ParseVerdict reads the reply of an app to a pre-event of interface i. Everything about it
// must be right: a verdict that is half understood is not understood.
func ParseVerdict(i Interface, data []byte) (Verdict, error) {
	var v Verdict
	if err := Decode(data, &v); err != nil {
		return Verdict{}, err
	}
	if string(v.Modify) == "null" {
		v.Modify = nil
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
	if v.Modify != nil && (i.Content() != ContentModify || v.Verdict != Allow) {
		return Verdict{}, invalid("modify belongs to the verdict allow of PreRoomCreateModify, not to %s of %s", v.Verdict, i)
	}
	if v.Modify != nil && v.Modify[0] != '{' {
		return Verdict{}, invalid("modify must be a JSON object")
	}
	v.Reason = cut(v.Reason)
	v.Warnings = v.Warnings[:min(len(v.Warnings), MaxWarnings)]
	for n, w := range v.Warnings {
		v.Warnings[n] = cut(w)
	}
	if v.Extend != nil {
		for _, m := range v.Extend.Members {
			if err := m.Validate("extend.members"); err != nil {
				return Verdict{}, err
			}
		}
	}
	return v, nil
}
