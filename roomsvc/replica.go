package roomsvc

import (
	"context"
	"errors"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// replicaRequest asks every replica of the service about its state of the registry.
type replicaRequest struct {
	Revision uint64 `json:"revision,omitempty"` // of the bucket, which the replica should have read
	Alive    string `json:"alive,omitempty"`    // the app that has just registered
	App      string `json:"app,omitempty"`      // stats of this app only
	Figures  bool   `json:"figures,omitempty"`  // include stats
}

// Validate returns an error if the request cannot be served.
func (r replicaRequest) Validate() error {
	return errors.Join(room.AppRequest{ID: r.App}.Validate(), room.AppRequest{ID: r.Alive}.Validate())
}

// replicaReport is the answer of one replica.
type replicaReport struct {
	Revision *uint64            `json:"revision"` // of the bucket, read so far; nil: unknown
	Figures  []hookstats.Report `json:"figures,omitempty"`
}

// overdue is the longest usual delay of a change of the bucket.
const overdue = 75 * time.Millisecond

// reportReplica answers with the state of this replica. If the replica has not read the requested
// revision within overdue, its watch may have failed with its server. Then it reads the bucket
// again.
func (s *Service) reportReplica(ctx context.Context, r replicaRequest) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, overdue)
	defer cancel()
	synced := s.registry.CatchUp(ctx, r.Revision)
	if r.Alive != "" {
		s.hooks.Revive(r.Alive)
	}
	report := replicaReport{Revision: &synced}
	if r.Figures {
		report.Figures = s.hooks.Reports(r.App)
	}
	return report, nil
}
