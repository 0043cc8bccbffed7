package appworker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/roombus/roombus/room"
)

// counting is the manifest that counts, as the room service last said: which events of interfaces that
// this worker does not implement it can pass over, as no worker is to handle them any more.
//
// To pass over an event wrongly is to lose it. So an answer is used only for events that came before
// it was asked for, and only for a short while. Events that come together share one.
type counting struct {
	mu       sync.Mutex // held while the room service is asked
	asked    time.Time
	until    time.Time // the answer is used
	manifest room.Manifest
	err      error
	logged   map[passedOver]bool
}

// passedOver is what is logged once.
type passedOver struct {
	version string
	i       room.Interface
}

const (
	countingFor     = time.Second
	countingTimeout = 2 * time.Second
)

// passesOver reports whether no worker is to handle the event, as the manifest that counts does not
// implement its interface. It reports false if the room service does not say so.
func (w *worker) passesOver(ctx context.Context, d *delivery) bool {
	i := postInterface(d.kind)
	if i == "" {
		return false // only a later SDK knows it
	}
	c := &w.counting
	c.mu.Lock()
	defer c.mu.Unlock()
	if !d.came.Before(c.asked) || time.Now().After(c.until) {
		c.ask(ctx, w)
	}
	if c.err != nil || c.manifest.Has(i) {
		return false
	}
	if key := (passedOver{c.manifest.Version, i}); !c.logged[key] {
		if c.logged == nil {
			c.logged = make(map[passedOver]bool)
		}
		c.logged[key] = true
		w.log.Info("events passed over: the registered version does not implement their interface", "interface", i, "registered", c.manifest.Version)
	}
	return true
}

func (c *counting) ask(ctx context.Context, w *worker) {
	ctx, cancel := context.WithTimeout(ctx, countingTimeout)
	defer cancel()
	c.asked = time.Now()
	c.until = c.asked.Add(countingFor)
	app, err := w.rooms.App(ctx, w.app.Manifest.ID)
	if c.manifest, c.err = app.Manifest, err; err != nil {
		c.until = time.Now().Add(countingFor) // events that have waited for it do not ask one by one
	}
}

// postInterface is the post-interface of an event type.
func postInterface(e room.EventType) room.Interface {
	all := room.Interfaces()
	n := slices.IndexFunc(all, func(i room.Interface) bool { return !i.Pre() && i.Event() == e })
	if n < 0 {
		return ""
	}
	return all[n]
}
