package roomsvc

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// ours are the commits of this service that are on their way. The stream often brings an event
// before JetStream's acknowledgement is here; what this service has just written it need not
// read.
type pendingCommits struct {
	mu   sync.Mutex
	sent map[string]sentEvent // by the command's id
}

type sentEvent struct {
	event   room.Event
	subject string
	body    []byte
}

// write takes note of an event that is about to be published, until it is told to forget it.
func (o *pendingCommits) add(e room.Event, subject string, body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == nil {
		o.sent = make(map[string]sentEvent)
	}
	o.sent[e.ID] = sentEvent{event: e, subject: subject, body: body}
}

func (o *pendingCommits) remove(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sent, id)
}

// read is the event of a message if this service has written it. Another one may have been sent
// the same command: what it has made of it differs in its time, if in nothing else.
func (o *pendingCommits) find(msg jetstream.Msg, seq uint64) (room.Event, bool) {
	h := msg.Headers()
	o.mu.Lock()
	w, ok := o.sent[h.Get(subjects.ID)]
	o.mu.Unlock()
	if !ok || msg.Subject() != w.subject || !bytes.Equal(msg.Data(), w.body) ||
		h.Get(subjects.ExpectedSeq) != strconv.FormatUint(w.event.Expected, 10) ||
		h.Get(subjects.Time) != w.event.Time.Format(time.RFC3339Nano) {
		return room.Event{}, false
	}
	w.event.Seq = seq
	return w.event, true
}
