package peers

import (
	"time"

	"github.com/nats-io/nats.go"
)

// Config configures peers. Every field is required.
type Config struct {
	ID   string // of this service among all replicas
	Conn *nats.Conn
	// AckWait is the time that a service needs to answer while it is in order. A command with less
	// than half of it shows nothing about the other service.
	AckWait time.Duration
}

// Peers is what this service knows of the other services. It is safe for concurrent use.
type Peers struct {
	cfg       Config
	handovers handovers
	undecided undecided
}

// New returns peers that receive no notices before Subscribe.
func New(cfg Config) *Peers { return &Peers{cfg: cfg} }

// Peer is another service that is to execute a command.
type Peer struct {
	ID string
	// Waits: the service is deciding an earlier command of the same user, and the command waits for
	// it.
	Waits bool
}

// Met records that a commit of this service lost to one of another service, empty if unknown.
func (p *Peers) Met(roomID, other string) { p.handovers.meet(roomID, p.cfg.ID, other) }

// Having returns the service that has the room for now, empty if this service has it.
func (p *Peers) Having(roomID string) string { return p.handovers.of(roomID) }

// Deciding returns the service that is deciding an earlier command of the user in the room, empty
// if none is known.
func (p *Peers) Deciding(roomID, user string) string { return p.undecided.of(roomID, user) }

// avoid sends no commands to a service for a while.
func (p *Peers) avoid(service string) {
	p.handovers.avoid(service)
	p.undecided.drop(service)
}
