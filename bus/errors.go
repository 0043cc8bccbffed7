package bus

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of starting up.
var (
	// ErrNoJetStream is returned when the server, or the account, has no JetStream.
	ErrNoJetStream = errors.New("JetStream is not enabled")
	// ErrServerTooOld is returned when the server is older than MinServer.
	ErrServerTooOld = errors.New("the NATS server is too old")
	// ErrNoCluster is returned when a stream with several copies is created on a server outside a cluster.
	ErrNoCluster = errors.New("a NATS server alone keeps no copies")
	// ErrUnreachable is returned when no NATS server answers at the address.
	ErrUnreachable = errors.New("cannot reach NATS")
)

// StreamDiffersError is returned when the configuration of a stream differs from the required one.
type StreamDiffersError struct {
	Stream      string
	Differences []string // each as "field is A, must be B"
	// Copies is the number of copies of the stream, WantCopies the required number.
	Copies, WantCopies int
	// InMemory is set if the stream has memory storage but needs file storage. JetStream cannot change the storage.
	InMemory bool
}

func (e *StreamDiffersError) Error() string {
	return fmt.Sprintf("stream %s is configured differently: %s", e.Stream, strings.Join(e.Differences, "; "))
}

// StreamMissingError is returned when a stream does not exist and may not be created.
type StreamMissingError struct{ Stream string }

func (e *StreamMissingError) Error() string { return fmt.Sprintf("stream %s does not exist", e.Stream) }

// Errors of requests.
var (
	// ErrNoResponders is returned when the subject of the request has no subscriber.
	ErrNoResponders = errors.New("no live worker")
	// ErrTimeout is returned when no reply arrived within the request's timeout.
	ErrTimeout = errors.New("no reply in time")
)

// Errors of appending. After each of them except ErrTooLarge, the caller must read the stream to
// learn the outcome.
var (
	// ErrConflict is returned when the stream refused the message because the guard did not hold
	// or may not have held: another message for the same filter is stored, or is or was in flight.
	ErrConflict = errors.New("the guard did not hold")
	// ErrStored is returned when a message with the same id is in the stream or in flight.
	ErrStored = errors.New("a message of this id is there already")
	// ErrRefused is returned when the message was not stored for another reason.
	ErrRefused = errors.New("JetStream refused the message")
	// ErrUncertain is returned when no ack arrived: the message may be stored, now or later.
	ErrUncertain = errors.New("no answer from JetStream")
	// ErrTooLarge is returned when the message exceeds the size limit of the server or the stream.
	ErrTooLarge = errors.New("the message is too large")
)

// Errors of serving.
var (
	// ErrOverloaded is returned to Refuse when a request exceeds MaxInFlight.
	ErrOverloaded = errors.New("too many requests are in progress")
	// ErrNoReply is returned by a Serve function that leaves a request to other instances. The
	// request is not counted.
	ErrNoReply = errors.New("left to others")
)
