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
	// ErrServerTooOld is returned when the server lacks what the commits rest on.
	ErrServerTooOld = errors.New("the NATS server is too old")
	// ErrNoCluster is returned when a server that is alone is to keep copies of a stream.
	ErrNoCluster = errors.New("a NATS server alone keeps no copies")
	// ErrUnreachable is returned when no server answers at the address.
	ErrUnreachable = errors.New("cannot reach NATS")
)

// StreamDiffersError is returned when a stream exists with a configuration other than the one
// it must have.
type StreamDiffersError struct {
	Stream      string
	Differences []string // each as "field is A, must be B"
	// Copies is how many the stream has, WantCopies how many it must have.
	Copies, WantCopies int
	// InMemory says that it has memory storage and must not, which JetStream cannot change.
	InMemory bool
}

func (e *StreamDiffersError) Error() string {
	return fmt.Sprintf("stream %s is configured differently: %s", e.Stream, strings.Join(e.Differences, "; "))
}

// StreamMissingError is returned when a stream does not exist and is not to be made.
type StreamMissingError struct{ Stream string }

func (e *StreamMissingError) Error() string { return fmt.Sprintf("stream %s does not exist", e.Stream) }

// Errors of asking.
var (
	// ErrNoResponders is returned when nobody is subscribed to the subject asked on.
	ErrNoResponders = errors.New("no live worker")
	// ErrTimeout is returned when no reply came within the question's time.
	ErrTimeout = errors.New("no reply in time")
)

// Errors of appending. After each of them but ErrTooLarge the stream must be looked at to
// know what happened.
var (
	// ErrConflict is returned when the stream refused the message because the guard did not
	// hold, or may not have: something else is, or was, on its way to the same filter.
	ErrConflict = errors.New("the guard did not hold")
	// ErrStored is returned when a message of the same id is in the stream, or on its way.
	ErrStored = errors.New("a message of this id is there already")
	// ErrRefused is returned when the message was not stored for another reason.
	ErrRefused = errors.New("JetStream refused the message")
	// ErrUncertain is returned when no answer came: the message may be stored, now or later.
	ErrUncertain = errors.New("no answer from JetStream")
	// ErrTooLarge is returned when the message is over the server's or the stream's bound.
	ErrTooLarge = errors.New("the message is too large")
)
