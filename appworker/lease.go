package appworker

import (
	"context"
	"sync"
	"time"
)

// keepLeases tells JetStream, as long as the context lasts, that the events in hand are being worked on, so
// that it does not give them to another worker, however long they take or wait. One whose handler
// has ignored that its time is over goes to another worker.
func (s *source) keepLeases(ctx context.Context) {
	tick := time.NewTicker(s.bound.Load().ackWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.aged:
			s.look(ctx)
			continue
		case <-ctx.Done():
			return
		}
		var asking sync.WaitGroup
		for _, d := range s.lines.held() {
			d.keep()
			if d.overdue() {
				continue
			}
			asking.Go(func() { s.keepLease(ctx, d) })
		}
		asking.Wait()
		s.lines.drop((*delivery).expired) // they come again, here or elsewhere
		s.look(ctx)                       // what has been done is forgotten as the floor rises
	}
}

// keepLease asks for an answer: what is only sent may not arrive.
func (s *source) keepLease(ctx context.Context, d *delivery) {
	ctx, cancel := context.WithTimeout(ctx, s.bound.Load().ackWait/3)
	defer cancel()
	sent := time.Now()
	if _, err := s.nc.RequestWithContext(ctx, d.msg.Reply(), []byte("+WPI")); err == nil {
		d.extend(sent.Add(s.lease()))
	}
}
