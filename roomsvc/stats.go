package roomsvc

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/room"
)

// stats are what "nats micro stats" shows as the data of each endpoint. The micro framework
// times its callback only, which hands a request on and does not wait for it.
type stats struct {
	mu        sync.Mutex
	endpoints map[string]*endpointStats
}

type endpointStats struct {
	mu      sync.Mutex
	handled uint64
	took    time.Duration
	refused uint64
	errors  map[room.Code]uint64
}

// EndpointStats is the data of an endpoint in the service's stats.
type EndpointStats struct {
	Handled               uint64               `json:"handled"`
	AverageProcessingTime time.Duration        `json:"average_processing_time"` // ns
	Errors                map[room.Code]uint64 `json:"errors"`                  // by code
	RefusedReplySubjects  uint64               `json:"refused_reply_subjects"`
	Rooms                 int                  `json:"rooms"`         // live ones
	LastSeq               uint64               `json:"last_seq"`      // of the stream, read so far
	Quarantined           uint64               `json:"quarantined"`   // messages of the stream not applied
	LateVerdicts          uint64               `json:"late_verdicts"` // came after their pre-event had ended
}

func (s *stats) of(name string) *endpointStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.endpoints[name]
	if !ok {
		e = &endpointStats{errors: make(map[room.Code]uint64)}
		s.endpoints[name] = e
	}
	return e
}

func (e *endpointStats) done(took time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handled++
	e.took += took
	var known *room.Error
	if errors.As(err, &known) {
		e.errors[known.Code]++
	}
}

func (e *endpointStats) refusedReply() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused++
}

func (s *Service) endpointData(e *micro.Endpoint) any {
	st := s.stats.of(e.Name)
	rooms, quarantined, seq := s.projection.counts()
	st.mu.Lock()
	defer st.mu.Unlock()
	data := EndpointStats{
		Handled: st.handled, RefusedReplySubjects: st.refused, Errors: make(map[room.Code]uint64, len(st.errors)),
		Rooms: rooms, LastSeq: seq, Quarantined: quarantined, LateVerdicts: s.asker.Late(),
	}
	for code, n := range st.errors {
		data.Errors[code] = n
	}
	if st.handled > 0 {
		data.AverageProcessingTime = st.took / time.Duration(st.handled)
	}
	return data
}

// oneLine keeps a message from ending a header early.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\r' || c == '\n' {
			return ' '
		}
		return c
	}, s)
}
