package consumer

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/roombus/roombus/room"
)

// registeredManifest is the app's manifest as registered with the room service. A worker passes over an
// event whose interface it does not implement if the registered manifest does not list the interface
// either: then no worker has to handle the event.
//
// An event that is passed over wrongly is lost. Therefore a fetched manifest is used only for events that
// were received before the fetch, and only for registeredTTL. Events that arrive together share one fetch.
type registeredManifest struct {
	mu       sync.Mutex // held during a fetch
	fetched  time.Time  // start of the last fetch
	expires  time.Time
	manifest room.Manifest
	err      error
	logged   map[passedOver]bool
}

// passedOver is the key of a log line that is logged once.
type passedOver struct {
	version string
	i       room.Interface
}

const (
	registeredTTL     = time.Second
	registeredTimeout = 2 * time.Second
)

// passesOver reports whether the registered manifest does not list the event's interface. It returns
// false if the room service does not answer.
func (c *Consumer) passesOver(ctx context.Context, d *delivery) bool {
	i := postInterface(d.kind)
	if i == "" {
		return false // an event type of a later SDK
	}
	r := &c.registered
	r.mu.Lock()
	defer r.mu.Unlock()
	if !d.received.Before(r.fetched) || time.Now().After(r.expires) {
		r.fetch(ctx, c.cfg.App)
	}
	if r.err != nil || r.manifest.Has(i) {
		return false
	}
	if key := (passedOver{r.manifest.Version, i}); !r.logged[key] {
		if r.logged == nil {
			r.logged = make(map[passedOver]bool)
		}
		r.logged[key] = true
		c.cfg.Log.Info("events passed over: the registered version does not implement their interface", "interface", i, "registered", r.manifest.Version)
	}
	return true
}

func (r *registeredManifest) fetch(ctx context.Context, app App) {
	ctx, cancel := context.WithTimeout(ctx, registeredTimeout)
	defer cancel()
	r.fetched = time.Now()
	r.expires = r.fetched.Add(registeredTTL)
	if r.manifest, r.err = app.Registered(ctx); r.err != nil {
		r.expires = time.Now().Add(registeredTTL) // events that waited for this fetch share its failure
	}
}

// postInterface returns the post-interface of an event type, or "" if there is none.
func postInterface(e room.EventType) room.Interface {
	all := room.Interfaces()
	n := slices.IndexFunc(all, func(i room.Interface) bool { return !i.Pre() && i.Event() == e })
	if n < 0 {
		return ""
	}
	return all[n]
}
