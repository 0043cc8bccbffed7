package room

import (
	"cmp"
	"time"
)

// App is a registered app: the manifest that counts, and how the app is doing.
type App struct {
	Manifest
	State *AppState `json:"state,omitempty"`
}

// AppState is how an app is doing. The figures are sums over the replicas of the room service
// that answered, each counting since it started.
type AppState struct {
	// Workers are the live ones that speak the micro protocol, as those of the Go SDK do.
	Workers []Worker `json:"workers"`
	// Unseen says that there are none of those, and yet something subscribes to the app's pre-events in
	// its queue group, or waits for its post-events: how many workers there are is not known.
	Unseen bool `json:"unseen,omitempty"`
	Waiting
	// Parked is how many post-events wait in the app's consumer while the manifest has no
	// post-interface, Replays how many dead letters have been handed over again and are not done.
	Parked  uint64 `json:"parked,omitempty"`
	Replays uint64 `json:"replays,omitempty"`
	// DeadLetters is how many the app has.
	DeadLetters uint64 `json:"deadLetters,omitempty"`
	// Post is what came of post-events, by interface: sums over the workers that report it, each since
	// it started; not in the list of all apps.
	Post       map[Interface]PostFigures `json:"post,omitempty"`
	Replicas   int                       `json:"replicas"` // of the room service
	Figures                              // of all interfaces
	Interfaces map[Interface]Figures     `json:"interfaces,omitempty"` // of each; not in the list of all apps
	// Operator is what operators have decided, whatever the manifest says.
	Operator Settings `json:"operator,omitzero"`
	// Remembered are the versions of the manifests that counted before and can be rolled back to,
	// the one that counted last first.
	Remembered []string `json:"remembered,omitempty"`
	// RolledBackFrom is the version that was rolled back from; a later one ends the rollback.
	RolledBackFrom string `json:"rolledBackFrom,omitempty"`
}

// Waiting is the post-events that wait for an app's workers. It is empty if the manifest has no
// post-interface.
type Waiting struct {
	// Backlog is how many they are, those in the workers' hands included.
	Backlog *uint64 `json:"backlog,omitempty"`
	// AckPending is how many the workers have in hand, MaxAckPending how many they may have; 0 if
	// that is not bounded.
	AckPending    int `json:"ackPending,omitempty"`
	MaxAckPending int `json:"maxAckPending,omitempty"`
	// Oldest is the first one in the order of the stream.
	Oldest *WaitingEvent `json:"oldest,omitempty"`
	// Stuck says that the server holds the events of all rooms back until the workers acknowledge
	// those that they have.
	Stuck bool `json:"stuck,omitempty"`
}

// WaitingEvent is a post-event that an app has not acknowledged.
type WaitingEvent struct {
	Seq  uint64    `json:"seq"`
	Room string    `json:"room"`
	Time time.Time `json:"time"` // when it was stored
}

// IsStuck reports whether the workers have as much in hand as they may, and the oldest event is older
// than the ack wait: a worker that handles events would have acknowledged it.
func (w Waiting) IsStuck(now time.Time, ackWait time.Duration) bool {
	return w.Oldest != nil && w.MaxAckPending > 0 && w.AckPending >= w.MaxAckPending && now.Sub(w.Oldest.Time) > ackWait
}

// Worker is one replica of an app.
type Worker struct {
	ID      string `json:"id"` // of the micro service
	Version string `json:"version"`
}

// PostFigures are what came of handing post-events to an app's handlers.
type PostFigures struct {
	Handled uint64 `json:"handled"` // that handlers are done with
	Failed  uint64 `json:"failed"`  // attempts that ended in an error, discards included
	InHand  int    `json:"inHand"`  // handlers that run
	// LongestMs is for how long the one that began first has run, in milliseconds.
	LongestMs int64  `json:"longestMs"`
	LastError string `json:"lastError,omitempty"` // of a worker that has one
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

// Figures are what came of asking an app.
type Figures struct {
	Calls       uint64 `json:"calls"` // pre-events that it was asked about
	Allowed     uint64 `json:"allowed"`
	Denied      uint64 `json:"denied"`
	Skipped     uint64 `json:"skipped"` // those its condition spared it are not among the calls
	Failed      uint64 `json:"failed"`
	TimedOut    uint64 `json:"timedOut"`
	Unavailable uint64 `json:"unavailable"` // not asked for being disabled or behind an open breaker is among these, not among the calls
	// FailOpen is how often an action went on without a verdict of the app: it is optional, and was
	// disabled, unavailable, failed or late.
	FailOpen uint64 `json:"failOpen"`
	// WouldHaveDenied is how many of the denials were not enforced, for the app was a shadow.
	WouldHaveDenied uint64 `json:"wouldHaveDenied"`
	Retried         uint64 `json:"retried"` // calls that were sent to another worker too
	Late            uint64 `json:"late"`    // verdicts that came after their call had ended
	// P50Ms and P99Ms are quantiles of the time from asking to knowing, in milliseconds,
	// within a hundredth of the value.
	P50Ms   float64 `json:"p50Ms"`
	P99Ms   float64 `json:"p99Ms"`
	Breaker Breaker `json:"breaker"` // of several: the one that is least closed
}

// Add adds the counts of others, and takes over the state of a breaker that is less closed.
// Quantiles cannot be added: they stay as they were.
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
}

var openness = map[Breaker]int{BreakerClosed: 1, BreakerHalfOpen: 2, BreakerOpen: 3}

// Breaker is the state of a circuit breaker.
type Breaker string

// The states of a circuit breaker.
const (
	BreakerClosed   Breaker = "closed"    // the app is asked
	BreakerHalfOpen Breaker = "half_open" // one call at a time finds out whether it is well again
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

// RollbackRequest makes the manifest of a remembered version count again.
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
