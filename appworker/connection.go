package appworker

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
)

// lostLogEvery is how often a lost connection is looked at; bus.Outage says which looks are logged.
const lostLogEvery = 15 * time.Second

// logConnection logs when the connection is lost and when it is back, until the context or the
// connection ends. changes are its statuses RECONNECTING, CONNECTED and CLOSED.
func (w *worker) logConnection(ctx context.Context, changes <-chan nats.Status) {
	var outage bus.Outage
	server, lost := w.nc.ConnectedUrlRedacted(), false
	tick := time.NewTicker(lostLogEvery)
	defer tick.Stop()
	if !w.nc.IsConnected() {
		lost = true
		outage.Failed(time.Now()) // Run has logged it
	}
	failed := func() {
		if outage.Failed(time.Now()) {
			w.log.Warn("connection to NATS lost", "server", server, "error", w.nc.LastError())
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if lost {
				failed()
			}
		case status, open := <-changes:
			switch {
			case !open || status == nats.CLOSED:
				return
			case status == nats.CONNECTED:
				server, lost = w.nc.ConnectedUrlRedacted(), false
				if lasted, log := outage.Ended(time.Now()); log {
					w.log.Info("connected to NATS", "server", server, "outage", lasted.Round(time.Millisecond))
				}
			default:
				lost = true
				failed()
			}
		}
	}
}
