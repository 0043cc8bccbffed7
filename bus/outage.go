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

// Outage decides which failures of something that is tried again and again are logged: the first
// one, then one after 1, 2 and 4 minutes, then one each 5 minutes. An outage that begins within 15 s
// after a line about the one before is logged when these have passed. It may be used from
// any number of goroutines.
type Outage struct {
	mu       sync.Mutex
	began    time.Time // zero: there is none
	logged   time.Time // when the last line was due
	interval time.Duration
	told     bool // a line about this outage was due
}

// Failed takes note of a failure at that time. It reports whether to log it.
func (o *Outage) Failed(at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() {
		o.began, o.interval, o.told = at, flapInterval, false
	}
	if !o.logged.IsZero() && at.Sub(o.logged) < o.interval {
		return false
	}
	o.interval = max(firstInterval, min(2*o.interval, maxInterval))
	o.logged, o.told = at, true
	return true
}

// Ended takes note of a success at that time. It reports whether to log that an outage has ended,
// and how long that lasted: only if its beginning was logged.
func (o *Outage) Ended(at time.Time) (lasted time.Duration, log bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() {
		return 0, false
	}
	lasted, o.began = at.Sub(o.began), time.Time{}
	return lasted, o.told
}

// Lasts reports whether there is an outage.
func (o *Outage) Lasts() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.began.IsZero()
}
