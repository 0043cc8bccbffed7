package room

// Outcome is the outcome of asking one app. Every app that is asked gets exactly one outcome.
type Outcome string

// The outcomes of a pre-event.
const (
	Allowed     Outcome = "allowed"
	Denied      Outcome = "denied"
	Skipped     Outcome = "skipped"     // by the app or by its condition, or the service did not wait for the answer
	Failed      Outcome = "failed"      // the app answered with an error or an unusable verdict
	TimedOut    Outcome = "timed_out"   // the app did not answer in time
	Unavailable Outcome = "unavailable" // the app is disabled, has no live worker, or its breaker is open
)

// Answered reports whether the app gave a usable verdict.
func (o Outcome) Answered() bool { return o == Allowed || o == Denied || o == Skipped }

// MaxChanged bounds the list of changed fields of an outcome. A longer list is cut.
const MaxChanged = 16

// AppOutcome records the outcome of one app for one action. The result, the error and the post-event
// of the action contain it.
type AppOutcome struct {
	App       string    `json:"app"`
	Interface Interface `json:"interface"`
	Outcome   Outcome   `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	// Rule is the rule of a policy that denied or failed, from 1.
	Rule    int      `json:"rule,omitempty"`
	Ms      float64  `json:"ms"`                // latency in milliseconds
	Changed []string `json:"changed,omitempty"` // fields of the draft that the app changed, at most MaxChanged
	Shadow  bool     `json:"shadow,omitempty"`  // recorded only, not enforced
	// Reinvoked is set if the app was asked again, about the final draft.
	Reinvoked bool `json:"reinvoked,omitempty"`
}

// Cut counts the outcomes and warnings that were cut to fit into a message. The first apps in order are kept.
type Cut struct {
	Outcomes int `json:"outcomes,omitempty"` // of the last apps in order
	Reasons  int `json:"reasons,omitempty"`  // including those of outcomes that were cut
	Changed  int `json:"changed,omitempty"`  // lists of changed fields, including those of outcomes that were cut
	Warnings int `json:"warnings,omitempty"`
}
