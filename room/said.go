package room

import "encoding/json"

// Cut counts what apps said and a message had no room for. The first apps in order are kept.
type Cut struct {
	Outcomes int `json:"outcomes,omitempty"` // of the last apps in order
	Reasons  int `json:"reasons,omitempty"`  // of outcomes, those that were cut included
	Changed  int `json:"changed,omitempty"`  // lists of changed fields, likewise
	Warnings int `json:"warnings,omitempty"`
}

// saidOverhead is how many bytes the names of the fields take around what apps say.
const saidOverhead = 256

// fitSaid cuts what apps have said so far to what the message has room for: the outcomes go
// before reasons, those before lists of changed fields, those before warnings.
func (d *Draft) fitSaid() {
	if d.MaxWhole == 0 || d.saidAtMost() <= d.MaxWhole-d.MaxBytes {
		return
	}
	size, err := d.size()
	if err != nil {
		return // it cannot be published either
	}
	if len(d.former) > 0 {
		size = d.MaxBytes // Final adds as many members as it may take
	}
	left := d.MaxWhole - size - saidOverhead
	takes := func(v any) bool {
		text, _ := json.Marshal(v) // it came as JSON
		if len(text)+len(`"changed":,`) > left {
			return false
		}
		left -= len(text) + len(`"changed":,`)
		return true
	}
	all, warnings, cut := d.Data.Apps, d.Data.Warnings, &d.Data.Cut
	kept := make([]AppOutcome, 0, len(all))
	for _, a := range all {
		a.Reason, a.Changed = "", nil
		if !takes(a) {
			break
		}
		kept = append(kept, a)
	}
	cut.Outcomes += len(all) - len(kept)
	for n, a := range all {
		switch {
		case a.Reason == "":
		case n < len(kept) && takes(a.Reason):
			kept[n].Reason = a.Reason
		default:
			cut.Reasons++
		}
	}
	for n, a := range all {
		switch {
		case a.Changed == nil:
		case n < len(kept) && takes(a.Changed):
			kept[n].Changed = a.Changed
		default:
			cut.Changed++
		}
	}
	d.Data.Apps, d.Data.Warnings = kept, nil
	for _, w := range warnings {
		if takes(w) {
			d.Data.Warnings = append(d.Data.Warnings, w)
		} else {
			cut.Warnings++
		}
	}
}

// saidAtMost is how many bytes what apps have said can take: a byte of text takes six at most when
// it is encoded.
func (d *Draft) saidAtMost() int {
	const bare = 256 // an outcome without texts
	size := saidOverhead
	for _, a := range d.Data.Apps {
		size += bare + 6*len(a.Reason)
		for _, name := range a.Changed {
			size += 6*len(name) + len(`"",`)
		}
	}
	for _, w := range d.Data.Warnings {
		size += 6*len(w) + len(`"",`)
	}
	return size
}
