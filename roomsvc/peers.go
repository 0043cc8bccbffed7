package roomsvc

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomsvc/hooks"
)

// peers is what this service knows of the other services: which of them has a room for now, and
// which commands they are deciding.
type peers struct {
	self      string // the id of this service
	nc        *nats.Conn
	ackWait   time.Duration
	handovers handovers
	undecided undecided
}

// elsewhere is a service that is to execute a command.
type elsewhere struct {
	service string
	// waits: the service is deciding an earlier command of the same user, and this command waits for
	// it.
	waits bool
}

// elsewhere returns the service that has the command's room for now, or that is deciding an earlier
// command of the same user if this one would change nothing. It returns nil if there is none.
func (s *Service) elsewhere(ctx context.Context, c rules.Command) *elsewhere {
	if to := s.peers.handovers.of(c.Request.Target()); to != "" && s.timeToHandOver(ctx, c) {
		return &elsewhere{service: to}
	}
	if to := s.peers.undecided.of(c); to != "" {
		if view, committed := s.projection.View(c); committed == 0 && !view.Changes(c.Request) {
			return &elsewhere{service: to, waits: true}
		}
	}
	return nil
}

// timeToHandOver reports whether the apps have their fair time in the other service's part of the
// command's time, or do not have it here either.
func (s *Service) timeToHandOver(ctx context.Context, c rules.Command) bool {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	needed := s.hooks.FairTime(c.Request.Event())
	return hooks.ForApps(left/2*9/10) >= needed || hooks.ForApps(left) < needed
}

// avoid sends no commands to a service for a while.
func (p *peers) avoid(service string) {
	p.handovers.avoid(service)
	p.undecided.drop(service)
}
