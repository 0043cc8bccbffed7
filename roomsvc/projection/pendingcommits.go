package projection

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// pendingCommits holds the events that this service has published and that are not acknowledged
// yet. The stream often delivers an event before JetStream's acknowledgement arrives. Then the
// service need not decode it.
type pendingCommits struct {
	mu   sync.Mutex
	sent map[string]sentEvent // by the command's id
}

type sentEvent struct {
	event   room.Event
	subject string
	body    []byte
}

// AddPending adds an event that is about to be published. The caller calls remove once the outcome
// of the publish is known, after Commit if it was stored.
func (p *Projection) AddPending(e room.Event, subject string, body []byte) (remove func()) {
	p.pending.add(e, subject, body)
	return func() { p.pending.remove(e.ID) }
}

func (p *pendingCommits) add(e room.Event, subject string, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent == nil {
		p.sent = make(map[string]sentEvent)
	}
	p.sent[e.ID] = sentEvent{event: e, subject: subject, body: body}
}

func (p *pendingCommits) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sent, id)
}

// find returns the event of a message if this service has published it. Another service may have
// executed the same command. Its event differs at least in the time.
func (p *pendingCommits) find(msg jetstream.Msg, seq uint64) (room.Event, bool) {
	h := msg.Headers()
	p.mu.Lock()
	w, ok := p.sent[h.Get(subjects.ID)]
	p.mu.Unlock()
	if !ok || msg.Subject() != w.subject || !bytes.Equal(msg.Data(), w.body) ||
		h.Get(subjects.ExpectedSeq) != strconv.FormatUint(w.event.Expected, 10) ||
		h.Get(subjects.Time) != w.event.Time.Format(time.RFC3339Nano) {
		return room.Event{}, false
	}
	w.event.Seq = seq
	return w.event, true
}
