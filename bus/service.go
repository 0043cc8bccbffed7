package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nuid"
)

// Service speaks the NATS micro protocol (PING, INFO, STATS), so that the nats CLI finds it
// and shows its endpoints. The framework of the client library does so too, but serves one
// request of an endpoint after the other, times only its callback, and answers to whatever
// subject a caller names as its reply.
type Service struct {
	nc        *nats.Conn
	cfg       ServiceConfig
	identity  micro.ServiceIdentity
	started   time.Time
	endpoints []*endpoint
	of        map[*nats.Subscription]*endpoint
	verbs     []*nats.Subscription
	admission chan struct{} // nil: no bound
	requests  chan *nats.Msg
	arriving  sync.Mutex // held by the reader that takes the next request
	out       *Batcher
	open      sync.WaitGroup // subscriptions of endpoints
	readers   sync.WaitGroup
	waiting   atomic.Int64 // readers that have no request
	stop      sync.Once
	stopped   chan struct{}
	refused   atomic.Uint64
}

// ServiceConfig says what a service is and how it answers.
type ServiceConfig struct {
	Name        string // one subject token
	ID          string // of this instance; default: a new one
	Version     string // SemVer
	Description string
	// Metadata is shown beside the id. Default: none.
	Metadata map[string]string
	// MaxInFlight bounds the requests in progress; more are answered with ErrOverloaded at
	// once. 0 is no bound.
	MaxInFlight int
	// ReplyPrefixes are inbox prefixes, beside the common ones and the connection's own, that
	// may be answered.
	ReplyPrefixes []string
	// Refuse makes the answer to a request that ended in an error: one of a Serve function, or
	// ErrOverloaded, or ErrTooLarge for an answer that no message can carry.
	Refuse func(subject string, err error) *nats.Msg
	// Data is shown with the statistics of an endpoint. Default: none.
	Data func(endpoint string) any
	// Beside returns statistics of work that comes by other ways than requests, shown beside those of the
	// endpoints. Default: none.
	Beside func() []*micro.EndpointStats
	Logger *slog.Logger
}

// Endpoint is one kind of request.
type Endpoint struct {
	Name    string
	Subject string
	Queue   string // group that shares the requests; empty: every instance gets each
	Always  bool   // served however many are in progress
	// Serve answers a request, with headers if it returns any. Any number of calls run at once. The
	// time is when the request was taken, which is when it came unless some ten thousands have come
	// at once.
	Serve func(msg *nats.Msg, came time.Time) ([]byte, nats.Header, error)
	// Arrive stands in place of Serve where the order matters in which requests come. It is called
	// for one request after the other, over all endpoints of the service, and must not block. What
	// it returns serves the request, and is called once.
	Arrive func(msg *nats.Msg, came time.Time) Serving
}

// Serving answers a request that has arrived.
type Serving func() ([]byte, nats.Header, error)

type endpoint struct {
	Endpoint
	sub *nats.Subscription

	mu    sync.Mutex
	stats micro.EndpointStats
}

var (
	// ErrOverloaded is what a request over the bound is refused with.
	ErrOverloaded = errors.New("too many requests are in progress")
	// ErrNoReply is what a Serve function returns for a request that is left to others to
	// answer. It is not counted.
	ErrNoReply = errors.New("left to others")
)

// NewService subscribes to the subjects of the endpoints, and to those of the protocol. The
// server knows of them when it has been flushed.
func NewService(out *Batcher, cfg ServiceConfig, endpoints ...Endpoint) (*Service, error) {
	if cfg.Metadata == nil {
		cfg.Metadata = map[string]string{} // the nats CLI cannot read a null there
	}
	s := &Service{
		nc: out.nc, out: out, cfg: cfg, started: time.Now().UTC(),
		of: make(map[*nats.Subscription]*endpoint), requests: make(chan *nats.Msg, maxUnread), stopped: make(chan struct{}),
		identity: micro.ServiceIdentity{Name: cfg.Name, ID: cmp.Or(cfg.ID, nuid.Next()), Version: cfg.Version, Metadata: cfg.Metadata},
	}
	if out.nc.Opts.InboxPrefix != "" {
		s.cfg.ReplyPrefixes = append([]string{out.nc.Opts.InboxPrefix}, cfg.ReplyPrefixes...)
	}
	if cfg.MaxInFlight > 0 {
		s.admission = make(chan struct{}, cfg.MaxInFlight)
	}
	if err := s.subscribe(endpoints); err != nil {
		s.unsubscribe()
		return nil, err
	}
	s.waiting.Add(1)
	s.readers.Go(s.read)
	return s, nil
}

func (s *Service) subscribe(endpoints []Endpoint) error {
	for _, e := range endpoints {
		if err := s.add(&endpoint{Endpoint: e}); err != nil {
			return err
		}
	}
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.identity, Type: micro.PingResponseType} },
		micro.InfoVerb:  s.info,
		micro.StatsVerb: s.stats,
	} {
		if err := s.addVerb(verb, answer); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) add(e *endpoint) error {
	e.stats = micro.EndpointStats{Name: e.Name, Subject: e.Subject, QueueGroup: e.Queue}
	sub, err := s.nc.ChanQueueSubscribe(e.Subject, e.Queue, s.requests)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", e.Subject, err)
	}
	e.sub, s.of[sub] = sub, e
	s.endpoints = append(s.endpoints, e)
	s.open.Add(1)
	ended := sync.OnceFunc(s.open.Done) // the library may tell twice
	sub.SetClosedHandler(func(string) { ended() })
	if !sub.IsValid() {
		ended() // before it could be told
	}
	return nil
}

func (s *Service) addVerb(verb micro.Verb, answer func() any) error {
	for _, of := range [][2]string{{"", ""}, {s.identity.Name, ""}, {s.identity.Name, s.identity.ID}} {
		subject, err := micro.ControlSubject(verb, of[0], of[1])
		if err != nil {
			return fmt.Errorf("naming the service's subjects: %w", err)
		}
		sub, err := s.nc.Subscribe(subject, func(msg *nats.Msg) {
			if msg.Reply == "" || !s.answerable(msg) {
				return
			}
			data, err := json.Marshal(answer())
			if err == nil {
				err = msg.Respond(data)
			}
			if err != nil {
				s.cfg.Logger.Warn("cannot answer", "subject", msg.Subject, "error", err)
			}
		})
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		s.verbs = append(s.verbs, sub)
	}
	return nil
}

// answerable reports whether the reply subject, if there is one, may be published to.
func (s *Service) answerable(msg *nats.Msg) bool {
	if msg.Reply == "" || IsInbox(msg.Reply, s.cfg.ReplyPrefixes...) {
		return true
	}
	s.refused.Add(1)
	s.cfg.Logger.Warn("dropped a request whose answer would not go to an inbox", "subject", msg.Subject, "reply", msg.Reply)
	return false
}

// RefusedReplies is the number of requests dropped for their reply subject.
func (s *Service) RefusedReplies() uint64 { return s.refused.Load() }

// Bounds of the requests that no reader has taken yet, and of the readers that wait for one.
const (
	maxUnread  = 1 << 16
	maxWaiting = 256
)

// read serves requests until there are no more. Whoever takes one in sees to it that another reader
// waits for the next, which must not be kept waiting. A reader that has served one reads on: its
// stack has grown already.
func (s *Service) read() {
	for {
		r, open := s.next()
		if !open {
			return
		}
		if s.waiting.Add(-1) == 0 {
			s.waiting.Add(1)
			s.readers.Go(s.read)
		}
		s.serve(r)
		if s.waiting.Add(1) > maxWaiting {
			s.waiting.Add(-1)
			return
		}
	}
}

// request is a request that has arrived.
type request struct {
	*endpoint
	msg   *nats.Msg
	came  time.Time
	serve Serving
}

// next is the next request that is to be served. One reader at a time takes requests, so that they
// arrive in the order in which they came.
func (s *Service) next() (r request, open bool) {
	s.arriving.Lock()
	defer s.arriving.Unlock()
	for msg := range s.requests {
		r := request{endpoint: s.of[msg.Sub], msg: msg, came: time.Now()}
		if !s.takeIn(r.endpoint, msg, r.came) {
			continue
		}
		if r.Arrive != nil {
			r.serve = r.Arrive(msg, r.came)
		}
		return r, true
	}
	return request{}, false
}

// takeIn reports whether a request is to be served. It refuses one too many.
func (s *Service) takeIn(e *endpoint, msg *nats.Msg, came time.Time) bool {
	if !s.answerable(msg) {
		return false
	}
	if !e.Always && !s.admit() {
		s.finish(e, msg, came, nil, nil, ErrOverloaded)
		return false
	}
	return true
}

func (s *Service) serve(r request) {
	if !r.Always {
		defer s.release()
	}
	if r.serve == nil {
		r.serve = func() ([]byte, nats.Header, error) { return r.Serve(r.msg, r.came) }
	}
	data, header, err := r.serve()
	s.finish(r.endpoint, r.msg, r.came, data, header, err)
}

func (s *Service) admit() bool {
	if s.admission == nil {
		return true
	}
	select {
	case s.admission <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Service) release() {
	if s.admission != nil {
		<-s.admission
	}
}

// finish answers a request and counts it.
func (s *Service) finish(e *endpoint, msg *nats.Msg, came time.Time, data []byte, header nats.Header, err error) {
	if errors.Is(err, ErrNoReply) {
		return
	}
	e.count(time.Since(came), err)
	if msg.Reply == "" {
		return
	}
	reply := &nats.Msg{Header: header, Data: data}
	if err != nil {
		reply = s.cfg.Refuse(msg.Subject, err)
	}
	reply.Subject = msg.Reply
	// gofail: var beforeReply struct{}
	s.out.publish(envelope{msg: reply, failed: func(err error) { s.unanswered(msg.Subject, reply, err) }})
}

// unanswered is what becomes of an answer that cannot be sent.
func (s *Service) unanswered(subject string, reply *nats.Msg, err error) {
	if errors.Is(err, nats.ErrMaxPayload) {
		short := s.cfg.Refuse(subject, fmt.Errorf("%w: the answer has %d bytes", ErrTooLarge, len(reply.Data)))
		short.Subject = reply.Subject
		err = s.nc.PublishMsg(short)
	}
	if err != nil {
		s.cfg.Logger.Warn("cannot answer", "subject", subject, "error", err)
	}
}

// Stop takes no more requests and finishes those in progress, until the context ends.
func (s *Service) Stop(ctx context.Context) error {
	s.stop.Do(s.drain)
	select {
	case <-s.stopped:
	case <-ctx.Done():
		return fmt.Errorf("requests were still to come, or in progress: %w", ctx.Err())
	}
	if !s.nc.IsConnected() {
		return nil
	}
	return s.nc.FlushWithContext(ctx)
}

// drain ends the subscriptions, after what the server had sent before it knew, and the readers with
// the last of them.
func (s *Service) drain() {
	for _, sub := range s.verbs {
		_ = sub.Unsubscribe() // fails only if the connection is gone, and the subscription with it
	}
	for _, e := range s.endpoints {
		if !s.nc.IsConnected() || e.sub.Drain() != nil {
			_ = e.sub.Unsubscribe() // nothing is to come; it fails if the connection is ending it
		}
	}
	go func() {
		s.open.Wait()
		close(s.requests)
		s.readers.Wait()
		s.out.wait()
		close(s.stopped)
	}()
}

// unsubscribe ends what is subscribed to at once.
func (s *Service) unsubscribe() {
	for _, e := range s.endpoints {
		_ = e.sub.Unsubscribe() // fails only if the connection is gone, and the subscription with it
	}
	for _, sub := range s.verbs {
		_ = sub.Unsubscribe()
	}
}
