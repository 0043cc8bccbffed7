package room

// Outcome is how asking one app ended. Every app asked ends in exactly one.
type Outcome string

// The outcomes of a pre-event.
const (
	Allowed     Outcome = "allowed"
	Denied      Outcome = "denied"
	Skipped     Outcome = "skipped"     // not its business, as it said or its condition did, or not waited for
	Failed      Outcome = "failed"      // it answered with an error, or with what cannot be used
	TimedOut    Outcome = "timed_out"   // it did not answer in its time
	Unavailable Outcome = "unavailable" // it is disabled, has no live worker, or its breaker is open
)

// Answered reports whether the app gave a usable verdict.
func (o Outcome) Answered() bool { return o == Allowed || o == Denied || o == Skipped }

// AppOutcome records what one app had said of one action. It stands in the result, in the
// error and in the post-event.
type AppOutcome struct {
	App       string    `json:"app"`
	Interface Interface `json:"interface"`
	Outcome   Outcome   `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	Ms        float64   `json:"ms"`                // from asking to knowing, in milliseconds
	Changed   []string  `json:"changed,omitempty"` // fields of the draft that it changed, MaxChanged at most
	Shadow    bool      `json:"shadow,omitempty"`  // recorded only, not enforced
	// Reinvoked: the app was asked before, and here again about the final draft.
	Reinvoked bool `json:"reinvoked,omitempty"`
}
