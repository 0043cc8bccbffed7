package room

import (
	"cmp"
	"time"
)

// App is a registered app: the manifest in force and the state of the app.
type App struct {
	Manifest
	State *AppState `json:"state,omitempty"`
}

// AppState is the state of an app. The figures are sums over the replicas of the room service
// that answered. Each replica counts from its start.
type AppState struct {
	// Workers are the live workers that implement the micro protocol, such as those of the Go SDK.
	Workers []Worker `json:"workers"`
	// Unseen is set if there are no such workers, but a client subscribes to the app's pre-events in
	// its queue group or waits for its post-events. The number of workers is unknown.
	Unseen bool `json:"unseen,omitempty"`
	Waiting
	// Parked is the number of post-events in the app's consumer while the manifest has no
	// post-interface. Replays is the number of replayed dead letters that are not acknowledged.
	Parked  uint64 `json:"parked,omitempty"`
	Replays uint64 `json:"replays,omitempty"`
	// DeadLetters is the number of the app's dead letters.
	DeadLetters uint64 `json:"deadLetters,omitempty"`
	// Post has the results of post-events by interface. They are sums over the workers that report them;
	// each worker counts from its start. Not in the list of all apps.
	Post       map[Interface]PostFigures `json:"post,omitempty"`
	Replicas   int                       `json:"replicas"` // of the room service
	Figures                              // over all interfaces
	Interfaces map[Interface]Figures     `json:"interfaces,omitempty"` // for each interface; not in the list of all apps
	// Operator has the settings of operators. They override the manifest.
	Operator Settings `json:"operator,omitzero"`
	// Remembered are the versions of earlier manifests that can be rolled back to, the most recent first.
	Remembered []string `json:"remembered,omitempty"`
	// RolledBackFrom is the version that was rolled back from. A later version ends the rollback.
	RolledBackFrom string `json:"rolledBackFrom,omitempty"`
}

// Waiting describes the post-events that wait for an app's workers. It is empty if the manifest has no
// post-interface.
type Waiting struct {
	// Backlog is the number of unacknowledged events, those in flight included.
	Backlog *uint64 `json:"backlog,omitempty"`
	// AckPending is the number of events in flight, MaxAckPending the consumer's limit; 0 if there is
	// no limit.
	AckPending    int `json:"ackPending,omitempty"`
	MaxAckPending int `json:"maxAckPending,omitempty"`
	// Oldest is the first unacknowledged event in the order of the stream.
	Oldest *WaitingEvent `json:"oldest,omitempty"`
	// Stuck is set if the server delivers no events of any room until the workers acknowledge the events
	// in flight.
	Stuck bool `json:"stuck,omitempty"`
}

// WaitingEvent is a post-event that an app has not acknowledged.
type WaitingEvent struct {
	Seq  uint64    `json:"seq"`
	Room string    `json:"room"`
	Time time.Time `json:"time"` // when it was stored
}

// IsStuck reports whether the number of events in flight has reached its limit and the oldest event is
// older than the ack wait. A worker that handles events would have acknowledged it by then.
func (w Waiting) IsStuck(now time.Time, ackWait time.Duration) bool {
	return w.Oldest != nil && w.MaxAckPending > 0 && w.AckPending >= w.MaxAckPending && now.Sub(w.Oldest.Time) > ackWait
}

// Worker is one replica of an app.
type Worker struct {
	ID      string `json:"id"` // of the micro service
	Version string `json:"version"`
}

// PostFigures counts the results of an app's post-event handlers.
type PostFigures struct {
	Handled uint64 `json:"handled"` // events handled without an error
	Failed  uint64 `json:"failed"`  // attempts that ended in an error, discards included
	InHand  int    `json:"inHand"`  // running handlers
	// LongestMs is the running time of the oldest running handler, in milliseconds.
	LongestMs int64  `json:"longestMs"`
	LastError string `json:"lastError,omitempty"` // of any worker
}

// Add adds the figures of another worker.
func (f *PostFigures) Add(o PostFigures) {
	f.Handled += o.Handled
	f.Failed += o.Failed
	f.InHand += o.InHand
	f.LongestMs = max(f.LongestMs, o.LongestMs)
	f.LastError = cmp.Or(f.LastError, o.LastError)
}

// Compare orders workers by version, then id.
func (w Worker) Compare(o Worker) int {
	return cmp.Or(cmp.Compare(w.Version, o.Version), cmp.Compare(w.ID, o.ID))
}

// Figures counts the results of asking an app.
type Figures struct {
	Calls       uint64 `json:"calls"` // pre-events sent to the app
	Allowed     uint64 `json:"allowed"`
	Denied      uint64 `json:"denied"`
	Skipped     uint64 `json:"skipped"` // includes events skipped by the app's condition, which are not calls
	Failed      uint64 `json:"failed"`
	TimedOut    uint64 `json:"timedOut"`
	Unavailable uint64 `json:"unavailable"` // includes events not sent because the app is disabled or its breaker is open, which are not calls
	// FailOpen is the number of actions that continued without a verdict of the app, because the app is
	// optional and was disabled, unavailable, failed or late.
	FailOpen uint64 `json:"failOpen"`
	// WouldHaveDenied is the number of denials that were not enforced, because the app was a shadow.
	WouldHaveDenied uint64 `json:"wouldHaveDenied"`
	Retried         uint64 `json:"retried"` // calls that were also sent to another worker
	Late            uint64 `json:"late"`    // verdicts that arrived after their call had ended
	// P50Ms and P99Ms are quantiles of the latency of the calls of the last five to ten minutes, in
	// milliseconds; 0 if there were none. Their relative error is at most one percent.
	P50Ms   float64 `json:"p50Ms"`
	P99Ms   float64 `json:"p99Ms"`
	Breaker Breaker `json:"breaker"` // of several breakers, the least closed
	// LastFailure is the latest call that failed or timed out, nil if there was none.
	LastFailure *Failure `json:"lastFailure,omitempty"`
}

// Failure is a call without a usable verdict.
type Failure struct {
	Time    time.Time `json:"time"`
	Command string    `json:"command"` // the id of the command
	Outcome Outcome   `json:"outcome"` // failed or timed_out
	Reason  string    `json:"reason"`
}

// Add adds the counts of o, and keeps the state of the less closed breaker and the later failure.
// Quantiles cannot be added: Add leaves them unchanged.
func (f *Figures) Add(o Figures) {
	f.Calls += o.Calls
	f.Allowed += o.Allowed
	f.Denied += o.Denied
	f.Skipped += o.Skipped
	f.Failed += o.Failed
	f.TimedOut += o.TimedOut
	f.Unavailable += o.Unavailable
	f.FailOpen += o.FailOpen
	f.WouldHaveDenied += o.WouldHaveDenied
	f.Retried += o.Retried
	f.Late += o.Late
	if openness[o.Breaker] > openness[f.Breaker] {
		f.Breaker = o.Breaker
	}
	if f.LastFailure == nil || o.LastFailure != nil && o.LastFailure.Time.After(f.LastFailure.Time) {
		f.LastFailure = o.LastFailure
	}
}

var openness = map[Breaker]int{BreakerClosed: 1, BreakerHalfOpen: 2, BreakerOpen: 3}

// Breaker is the state of a circuit breaker.
type Breaker string

// The states of a circuit breaker.
const (
	BreakerClosed   Breaker = "closed"    // the app is asked
	BreakerHalfOpen Breaker = "half_open" // the app is sent one call at a time, to test whether it has recovered
	BreakerOpen     Breaker = "open"      // the app is not asked
)

// ShadowRequest turns an app's shadow on or off.
type ShadowRequest struct {
	ID     string `json:"id"`
	Shadow *bool  `json:"shadow"`
}

// Validate returns an error of code invalid_request if the request cannot be served.
func (r ShadowRequest) Validate() error {
	if r.Shadow == nil {
		return invalid("shadow is required: true or false")
	}
	return ValidateToken("id", r.ID)
}

// RollbackRequest puts the manifest of a remembered version in force again.
type RollbackRequest struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// Validate returns an error of code invalid_request if the request cannot be served.
func (r RollbackRequest) Validate() error {
	if err := ValidateToken("id", r.ID); err != nil {
		return err
	}
	return validateVersion("version", r.Version)
}
