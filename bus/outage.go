package bus

import (
	"sync"
	"time"
)

const (
	firstInterval = time.Minute      // between the first two log lines about one outage
	maxInterval   = 5 * time.Minute  // between later ones
	flapInterval  = 15 * time.Second // between lines about two outages
)

// Outage decides which failures of a repeated operation are logged: the first failure, then one
// after 1, 2 and 4 minutes, then one every 5 minutes. If an outage begins within 15 s after a log
// line about the previous outage, its first line is delayed until the 15 s have passed. Outage is
// safe for concurrent use.
type Outage struct {
	mu       sync.Mutex
	began    time.Time // zero: no outage
	logged   time.Time // time of the last log line
	interval time.Duration
	reported bool // this outage has a log line
}

// Failed records a failure. It reports whether to log it.
func (o *Outage) Failed(at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() {
		o.began, o.interval, o.reported = at, flapInterval, false
	}
	if !o.logged.IsZero() && at.Sub(o.logged) < o.interval {
		return false
	}
	o.interval = max(firstInterval, min(2*o.interval, maxInterval))
	o.logged, o.reported = at, true
	return true
}

// Ended records a success. It reports whether to log the end of an outage, and how long the outage
// lasted. The end is logged only if the outage itself was logged.
func (o *Outage) Ended(at time.Time) (lasted time.Duration, log bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() {
		return 0, false
	}
	lasted, o.began = at.Sub(o.began), time.Time{}
	return lasted, o.reported
}

// Lasts reports whether there is an outage.
func (o *Outage) Lasts() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.began.IsZero()
}
