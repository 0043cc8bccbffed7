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

// Service serves requests and implements the NATS micro protocol (PING, INFO, STATS), so that the
// nats CLI finds it and shows its endpoints. The micro package of the client library is not used for
// three reasons. It serves the requests of an endpoint sequentially, it measures only the callback,
// and it replies to any subject that a caller names as the reply subject.
type Service struct {
	nc        *nats.Conn
	cfg       ServiceConfig
	identity  micro.ServiceIdentity
	started   time.Time
	endpoints []*endpoint
	verbs     []*nats.Subscription
	admission chan struct{} // nil: unlimited
	readers   readers
	out       *Batcher
	stop      sync.Once
	stopped   chan struct{}
	refused   atomic.Uint64
}

// readers are the goroutines that take requests in the order of arrival.
type readers struct {
	requests chan *nats.Msg // of all endpoints
	bySub    map[*nats.Subscription]*endpoint
	open     sync.WaitGroup // subscriptions of endpoints
	arriving sync.Mutex     // held by the reader that receives the next request
	running  sync.WaitGroup
	idle     atomic.Int64
}

// ServiceConfig configures a Service.
type ServiceConfig struct {
	Name        string // one subject token
	ID          string // of this instance; default: a random id
	Version     string // SemVer
	Description string
	// Metadata is published with the id. Default: none.
	Metadata map[string]string
	// MaxInFlight limits the requests in progress. Requests above the limit are refused with
	// ErrOverloaded at once. Default: unlimited.
	MaxInFlight int
	// ReplyPrefixes are inbox prefixes that may be replied to, in addition to the common prefixes and
	// the prefix of the connection.
	ReplyPrefixes []string
	// Refuse returns the reply to a request that failed: with the error of a Serve function, with
	// ErrOverloaded, or with ErrTooLarge if the reply exceeds the maximum size of a message.
	Refuse func(subject string, err error) *nats.Msg
	// Data is published with the statistics of an endpoint. Default: none.
	Data func(endpoint string) any
	// Beside returns additional statistics, of work that does not arrive as requests. Default: none.
	Beside func() []*micro.EndpointStats
	Logger *slog.Logger
}

// Endpoint is one kind of request.
type Endpoint struct {
	Name    string
	Subject string
	Queue   string // queue group; empty: every instance receives each request
	Always  bool   // exempt from MaxInFlight
	// Serve returns the reply to a request, and optional headers. Calls run concurrently. The time is
	// when a reader received the request. It is the arrival time unless tens of thousands of requests
	// arrive at once.
	Serve func(msg *nats.Msg, received time.Time) ([]byte, nats.Header, error)
	// Arrive replaces Serve if the order of requests matters. The calls are sequential over all
	// endpoints of the service, in the order of arrival. Arrive must not block. The returned function
	// serves the request and is called once.
	Arrive func(msg *nats.Msg, received time.Time) Serving
}

// Serving returns the reply to a request that has arrived.
type Serving func() ([]byte, nats.Header, error)

type endpoint struct {
	Endpoint
	sub *nats.Subscription

	mu    sync.Mutex
	stats micro.EndpointStats
}

// NewService subscribes to the subjects of the endpoints and of the micro protocol. Flush the
// connection to make sure that the server has the subscriptions.
func NewService(out *Batcher, cfg ServiceConfig, endpoints ...Endpoint) (*Service, error) {
	if cfg.Metadata == nil {
		cfg.Metadata = map[string]string{} // the nats CLI fails on a null
	}
	s := &Service{
		nc: out.nc, out: out, cfg: cfg, started: time.Now().UTC(),
		readers:  readers{requests: make(chan *nats.Msg, maxUnread), bySub: make(map[*nats.Subscription]*endpoint)},
		stopped:  make(chan struct{}),
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
	s.readers.idle.Add(1)
	s.readers.running.Go(s.read)
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
	sub, err := s.nc.ChanQueueSubscribe(e.Subject, e.Queue, s.readers.requests)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", e.Subject, err)
	}
	e.sub, s.readers.bySub[sub] = sub, e
	s.endpoints = append(s.endpoints, e)
	s.readers.open.Add(1)
	ended := sync.OnceFunc(s.readers.open.Done) // the library may call the handler twice
	sub.SetClosedHandler(func(string) { ended() })
	if !sub.IsValid() {
		ended() // the subscription ended before the handler was set
	}
	return nil
}

func (s *Service) addVerb(verb micro.Verb, answer func() any) error {
	for _, target := range [][2]string{{"", ""}, {s.identity.Name, ""}, {s.identity.Name, s.identity.ID}} {
		subject, err := micro.ControlSubject(verb, target[0], target[1])
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
				s.cfg.Logger.Warn("reply not sent", "subject", msg.Subject, "error", err)
			}
		})
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		s.verbs = append(s.verbs, sub)
	}
	return nil
}

// answerable reports whether the request has no reply subject, or one that may be published to.
func (s *Service) answerable(msg *nats.Msg) bool {
	if msg.Reply == "" || IsInbox(msg.Reply, s.cfg.ReplyPrefixes...) {
		return true
	}
	s.refused.Add(1)
	s.cfg.Logger.Warn("request dropped: the reply subject is not an inbox", "subject", msg.Subject, "reply", msg.Reply)
	return false
}

// RefusedReplies returns the number of requests dropped because of their reply subject.
func (s *Service) RefusedReplies() uint64 { return s.refused.Load() }

const (
	maxUnread = 1 << 16 // requests that no reader has received yet
	maxIdle   = 256     // idle readers
)

// read serves requests until the channel is closed. A reader that receives a request makes sure that
// another reader waits for the next one, so requests never wait for a running handler. A reader
// continues after it has served a request, because its stack has already grown.
func (s *Service) read() {
	for {
		r, open := s.next()
		if !open {
			return
		}
		if s.readers.idle.Add(-1) == 0 {
			s.readers.idle.Add(1)
			s.readers.running.Go(s.read)
		}
		s.serve(r)
		if s.readers.idle.Add(1) > maxIdle {
			s.readers.idle.Add(-1)
			return
		}
	}
}

// request is a request that has arrived.
type request struct {
	*endpoint
	msg      *nats.Msg
	received time.Time
	serve    Serving
}

// next returns the next request to serve. One reader at a time receives requests, so that Arrive is
// called in the order of arrival.
func (s *Service) next() (r request, open bool) {
	s.readers.arriving.Lock()
	defer s.readers.arriving.Unlock()
	for msg := range s.readers.requests {
		r := request{endpoint: s.readers.bySub[msg.Sub], msg: msg, received: time.Now()}
		if !s.accept(r.endpoint, msg, r.received) {
			continue
		}
		if r.Arrive != nil {
			r.serve = r.Arrive(msg, r.received)
		}
		return r, true
	}
	return request{}, false
}

// accept reports whether to serve a request. It refuses requests above MaxInFlight.
func (s *Service) accept(e *endpoint, msg *nats.Msg, received time.Time) bool {
	if !s.answerable(msg) {
		return false
	}
	if !e.Always && !s.admit() {
		s.finish(e, msg, received, nil, nil, ErrOverloaded)
		return false
	}
	return true
}

func (s *Service) serve(r request) {
	if !r.Always {
		defer s.release()
	}
	if r.serve == nil {
		r.serve = func() ([]byte, nats.Header, error) { return r.Serve(r.msg, r.received) }
	}
	data, header, err := r.serve()
	s.finish(r.endpoint, r.msg, r.received, data, header, err)
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

// finish replies to a request and counts it.
func (s *Service) finish(e *endpoint, msg *nats.Msg, received time.Time, data []byte, header nats.Header, err error) {
	if errors.Is(err, ErrNoReply) {
		return
	}
	e.count(time.Since(received), err)
	if msg.Reply == "" {
		return
	}
	reply := &nats.Msg{Header: header, Data: data}
	if err != nil {
		reply = s.cfg.Refuse(msg.Subject, err)
	}
	reply.Subject = msg.Reply
	// gofail: var beforeReply struct{}
	s.out.publish(envelope{msg: reply, failed: func(err error) { s.replyFailed(msg.Subject, reply, err) }})
}

// replyFailed handles a reply that cannot be sent. It replaces a reply that is too large by an error.
func (s *Service) replyFailed(subject string, reply *nats.Msg, err error) {
	if errors.Is(err, nats.ErrMaxPayload) {
		short := s.cfg.Refuse(subject, fmt.Errorf("%w: the reply has %d bytes", ErrTooLarge, len(reply.Data)))
		short.Subject = reply.Subject
		err = s.nc.PublishMsg(short)
	}
	if err != nil {
		s.cfg.Logger.Warn("reply not sent", "subject", subject, "error", err)
	}
}

// Stop stops receiving requests and waits until the requests in progress are finished, or until the
// context ends.
func (s *Service) Stop(ctx context.Context) error {
	s.stop.Do(s.drain)
	select {
	case <-s.stopped:
	case <-ctx.Done():
		return fmt.Errorf("requests did not finish in time: %w", ctx.Err())
	}
	if !s.nc.IsConnected() {
		return nil
	}
	return s.nc.FlushWithContext(ctx)
}

// drain ends the subscriptions after the requests that are already in flight, and then the readers.
func (s *Service) drain() {
	for _, sub := range s.verbs {
		_ = sub.Unsubscribe() // fails only if the connection is gone, and the subscription with it
	}
	for _, e := range s.endpoints {
		if !s.nc.IsConnected() || e.sub.Drain() != nil {
			_ = e.sub.Unsubscribe() // no request can arrive; it fails if the connection is already ending it
		}
	}
	go func() {
		s.readers.open.Wait()
		close(s.readers.requests)
		s.readers.running.Wait()
		s.out.wait()
		close(s.stopped)
	}()
}

// unsubscribe ends all subscriptions at once.
func (s *Service) unsubscribe() {
	for _, e := range s.endpoints {
		_ = e.sub.Unsubscribe() // fails only if the connection is gone, and the subscription with it
	}
	for _, sub := range s.verbs {
		_ = sub.Unsubscribe()
	}
}
