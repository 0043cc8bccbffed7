package roomsvc

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// connection is the connection of a service to NATS, and what sends and receives over it.
type connection struct {
	nc          *nats.Conn
	js          jetstream.JetStream
	out         *bus.Batcher
	verdicts    *bus.Requester   // receives replies of apps
	acks        *bus.Requester   // receives acknowledgements of JetStream
	reconnected chan nats.Status // gets a status when a lost connection is back
}

func newConnection(nc *nats.Conn, js jetstream.JetStream) connection {
	return connection{nc: nc, js: js, out: bus.NewBatcher(nc), reconnected: nc.StatusChanged(nats.CONNECTED)}
}

// openInboxes opens the inboxes for replies of apps and acknowledgements of JetStream. They are
// two, so that acknowledgements do not wait behind the handling of late verdicts. Apps in accounts of
// their own reply to a third one.
func (c *connection) openInboxes() (err error) {
	if c.verdicts, err = bus.NewRequester(c.out); err != nil {
		return err
	}
	if err := c.verdicts.Export(subjects.VerdictInbox); err != nil {
		return err
	}
	c.acks, err = bus.NewRequester(c.out)
	return err
}

// closeInboxes closes the inboxes that are open.
func (c *connection) closeInboxes() {
	for _, inbox := range []*bus.Requester{c.verdicts, c.acks} {
		if inbox != nil {
			_ = inbox.Close() // fails only if the connection is closed
		}
	}
}
