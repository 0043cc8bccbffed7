package ordering

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
)

// The waits between two refreshes of the ack floor while lines are blocked.
const (
	firstRefresh = 20 * time.Millisecond
	lastRefresh  = time.Second
)

// manyBlocked is the number of blocked lines from which one refresh of the floor costs less than a query
// for each line.
const manyBlocked = 8

// orderQuery is the message between the workers of an app about one event of a room. As a query it asks
// whether the event is done. As an answer it says that the event is done or, with Held, that the sender
// holds it.
type orderQuery struct {
	Room    string `json:"room"`
	Seq     uint64 `json:"seq"`
	Held    bool   `json:"held,omitempty"`
	Attempt uint64 `json:"attempt,omitempty"` // number of deliveries when the event was done, if known
}

// PeersConfig configures Peers. All fields but ReplyPrefixes are required.
type PeersConfig[E Event] struct {
	// Conn is the connection to the other workers.
	Conn *nats.Conn
	// Subject is the subject of the queries of the app's workers.
	Subject string
	// ReplyPrefixes are the inbox prefixes of workers that are answered, in addition to _INBOX and the prefix of
	// Conn.
	ReplyPrefixes []string
	// Lines are the lines of this worker.
	Lines *Lines[E]
	// Begin handles events that may begin now. It does not block.
	Begin func([]E)
	// Refresh fetches the consumer's ack floor, sets it, and begins the events that may begin then.
	Refresh func(context.Context)
}

// Peers exchanges queries with the other workers of the app. An event that waits for an event of another
// worker then begins without delay. The consumer's ack floor covers workers that are gone. Wake and Answer
// may be called concurrently.
type Peers[E Event] struct {
	cfg     PeersConfig[E]
	inbox   string        // of answers
	blocked chan struct{} // signals that a line is blocked
	subs    []*nats.Subscription
}

// NewPeers returns peers that receive nothing before Subscribe.
func NewPeers[E Event](cfg PeersConfig[E]) *Peers[E] {
	cfg.ReplyPrefixes = append([]string{cfg.Conn.Opts.InboxPrefix}, cfg.ReplyPrefixes...)
	return &Peers[E]{cfg: cfg, inbox: cfg.Conn.NewInbox(), blocked: make(chan struct{}, 1)}
}

// Subscribe subscribes to queries and answers. Run ends the subscriptions.
func (p *Peers[E]) Subscribe() error {
	if err := p.subscribe(p.inbox, p.receiveAnswer); err != nil {
		return err
	}
	return p.subscribe(p.cfg.Subject, p.receiveQuery)
}

func (p *Peers[E]) subscribe(subject string, receive nats.MsgHandler) error {
	sub, err := p.cfg.Conn.Subscribe(subject, receive)
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	p.subs = append(p.subs, sub)
	return nil
}

func (p *Peers[E]) receiveAnswer(msg *nats.Msg) {
	var a orderQuery
	switch err := json.Unmarshal(msg.Data, &a); {
	case err != nil: // not from a worker
	case a.Held:
		p.cfg.Lines.MarkHeld(a.Room, a.Seq)
	default:
		p.cfg.Begin(p.cfg.Lines.MarkDone(a.Room, a.Seq, a.Attempt))
	}
}

func (p *Peers[E]) receiveQuery(msg *nats.Msg) {
	var q orderQuery
	if msg.Reply == p.inbox || !bus.IsInbox(msg.Reply, p.cfg.ReplyPrefixes...) || json.Unmarshal(msg.Data, &q) != nil {
		return
	}
	if k := p.cfg.Lines.Lookup(Query{Room: q.Room, Seq: q.Seq, Reply: msg.Reply}); k.Done || k.Held {
		p.send(msg.Reply, "", orderQuery{Room: q.Room, Seq: q.Seq, Held: k.Held, Attempt: k.Attempt})
	}
}

// Run resolves blocked lines until the context ends. Then it ends the subscriptions.
func (p *Peers[E]) Run(ctx context.Context) {
	for {
		select {
		case <-p.blocked:
			p.resolve(ctx)
		case <-ctx.Done():
			for _, sub := range p.subs {
				_ = sub.Unsubscribe() // fails only if the connection is closed
			}
			return
		}
	}
}

// Wake makes Run resolve the blocked lines, if there are any. It does not block.
func (p *Peers[E]) Wake() {
	if !p.cfg.Lines.AnyBlocked() {
		return
	}
	select {
	case p.blocked <- struct{}{}:
	default:
	}
}

// resolve runs until no line is blocked. It sends a query for a newly blocked line at once. With growing
// waits it refreshes the ack floor and repeats the queries.
func (p *Peers[E]) resolve(ctx context.Context) {
	sent := make(map[Query]bool)
	refresh, wait := time.NewTimer(firstRefresh), firstRefresh
	defer refresh.Stop()
	for {
		queries := p.cfg.Lines.OpenQueries()
		if len(queries) >= manyBlocked {
			p.cfg.Refresh(ctx)
			queries = p.cfg.Lines.OpenQueries()
		}
		if len(queries) == 0 {
			return
		}
		for _, q := range queries {
			if !sent[q] {
				sent[q] = true
				p.send(p.cfg.Subject, p.inbox, orderQuery{Room: q.Room, Seq: q.Seq})
			}
		}
		select {
		case <-p.blocked:
		case <-refresh.C:
			clear(sent)
			p.cfg.Refresh(ctx)
			wait = min(2*wait, lastRefresh)
			refresh.Reset(wait)
		case <-ctx.Done():
			return
		}
	}
}

// Answer tells other workers that the event of their queries is done, at the given delivery.
func (p *Peers[E]) Answer(all []Query, attempt uint64) {
	for _, q := range all {
		p.send(q.Reply, "", orderQuery{Room: q.Room, Seq: q.Seq, Attempt: attempt})
	}
}

// send is best effort: a worker that misses the message learns the state from the ack floor.
func (p *Peers[E]) send(subject, reply string, q orderQuery) {
	data, err := json.Marshal(q)
	if err == nil {
		_ = p.cfg.Conn.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: data})
	}
}
