package consumer

import (
	"context"
	"sync"
	"time"
)

// keepLeases renews the leases of all events in flight until the context ends: it sends JetStream a
// progress ack, so that JetStream does not redeliver an event while it waits or is handled. It does not
// renew an event whose handler ignores its deadline; that event goes to another worker.
func (s *source) keepLeases(ctx context.Context) {
	tick := time.NewTicker(s.bound.Load().ackWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.floorStale:
			s.refresh(ctx)
			continue
		case <-ctx.Done():
			return
		}
		var renewals sync.WaitGroup
		for _, d := range s.lines.Held() {
			d.enforceLease()
			if d.overdue() {
				continue
			}
			renewals.Go(func() { s.renewLease(ctx, d) })
		}
		renewals.Wait()
		s.lines.Drop((*delivery).expired) // JetStream redelivers them, here or elsewhere
		s.refresh(ctx)                    // lines drop done events below the ack floor
	}
}

// renewLease sends a progress ack and waits for the server's reply, because an unconfirmed one may be lost.
func (s *source) renewLease(ctx context.Context, d *delivery) {
	ctx, cancel := context.WithTimeout(ctx, s.bound.Load().ackWait/3)
	defer cancel()
	sent := time.Now()
	if _, err := s.cfg.Conn.RequestWithContext(ctx, d.msg.Reply(), []byte("+WPI")); err == nil {
		d.extendLease(sent.Add(s.bound.Load().leaseTime()))
	}
}
