package roomsvc

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/roomsvc/health"
	"github.com/roombus/roombus/roomsvc/hooks"
	"github.com/roombus/roombus/roomsvc/lanes"
	"github.com/roombus/roombus/roomsvc/peers"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/roomsvc/registry"
	"github.com/roombus/roombus/roomsvc/rejections"
)

// commands executes the commands that change rooms, from their arrival to their answer.
type commands struct {
	cfg        Config
	ctx        context.Context // ends with the service
	nc         *nats.Conn
	events     jetstream.Stream
	projection *projection.Projection
	registry   *registry.Registry
	hooks      *hooks.Hooks
	lanes      *lanes.Lanes
	peers      *peers.Peers
	health     *health.Health
	recorder   *rejections.Recorder
	committer  *committer
}

// newCommands returns the commands of this service, once its streams are open.
func (s *Service) newCommands() *commands {
	return &commands{
		cfg: s.cfg, ctx: s.ctx, nc: s.nc, events: s.streams.Events(),
		projection: s.projection, registry: s.registry, hooks: s.hooks,
		lanes: lanes.New(max(1, s.cfg.MaxInFlight/4)), peers: s.peers,
		health: s.health, recorder: s.recorder, committer: s.newCommitter(),
	}
}
