package rules

import (
	"encoding/json"

	"github.com/roombus/roombus/room"
)

// outcomesOverhead bounds the bytes of the field names around outcomes and warnings.
const outcomesOverhead = 256

// fitOutcomes cuts outcomes and warnings so that the body does not exceed MaxWhole. Outcomes take
// precedence over reasons, reasons over lists of changed fields, and these over warnings.
func (d *Draft) fitOutcomes() {
	if d.MaxWhole == 0 || d.maxOutcomesSize() <= d.MaxWhole-d.MaxBytes {
		return
	}
	size, err := d.size()
	if err != nil {
		return // then it cannot be published either
	}
	if len(d.former) > 0 {
		size = d.MaxBytes // Final adds as many former members as fit
	}
	left := d.MaxWhole - size - outcomesOverhead
	fits := func(v any) bool {
		text, _ := json.Marshal(v) // cannot fail
		if len(text)+len(`"changed":,`) > left {
			return false
		}
		left -= len(text) + len(`"changed":,`)
		return true
	}
	all, warnings, cut := d.Data.Apps, d.Data.Warnings, &d.Data.Cut
	kept := make([]room.AppOutcome, 0, len(all))
	for _, a := range all {
		a.Reason, a.Changed = "", nil
		if !fits(a) {
			break
		}
		kept = append(kept, a)
	}
	cut.Outcomes += len(all) - len(kept)
	for n, a := range all {
		switch {
		case a.Reason == "":
		case n < len(kept) && fits(a.Reason):
			kept[n].Reason = a.Reason
		default:
			cut.Reasons++
		}
	}
	for n, a := range all {
		switch {
		case a.Changed == nil:
		case n < len(kept) && fits(a.Changed):
			kept[n].Changed = a.Changed
		default:
			cut.Changed++
		}
	}
	d.Data.Apps, d.Data.Warnings = kept, nil
	for _, w := range warnings {
		if fits(w) {
			d.Data.Warnings = append(d.Data.Warnings, w)
		} else {
			cut.Warnings++
		}
	}
}

// maxOutcomesSize returns an upper bound of the encoded size of outcomes and warnings. A byte of text
// takes at most six bytes when it is encoded.
func (d *Draft) maxOutcomesSize() int {
	const bare = 256 // an outcome without texts
	size := outcomesOverhead
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
