package appstate

import (
	"context"
	"errors"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/internal/hookstats"
)

// ReplicaRequest asks every replica of the service about its state of the registry.
type ReplicaRequest struct {
	Revision uint64 `json:"revision,omitempty"` // of the bucket, which the replica should have read
	Alive    string `json:"alive,omitempty"`    // the app that has just registered
	App      string `json:"app,omitempty"`      // stats of this app only
	Figures  bool   `json:"figures,omitempty"`  // include stats
}

// Validate returns an error if the request cannot be served.
func (r ReplicaRequest) Validate() error {
	return errors.Join(room.AppRequest{ID: r.App}.Validate(), room.AppRequest{ID: r.Alive}.Validate())
}

// ReplicaReport is the answer of one replica.
type ReplicaReport struct {
	Revision *uint64            `json:"revision"` // of the bucket, read so far; nil: unknown
	Figures  []hookstats.Report `json:"figures,omitempty"`
}

// overdue is the longest usual delay of a change of the bucket.
const overdue = 75 * time.Millisecond

// Report answers with the state of this replica. If the replica has not read the requested revision
// within overdue, its watch may have failed with its server. Then it reads the bucket again.
func (a *Apps) Report(ctx context.Context, r ReplicaRequest) (ReplicaReport, error) {
	ctx, cancel := context.WithTimeout(ctx, overdue)
	defer cancel()
	synced := a.cfg.Registry.CatchUp(ctx, r.Revision)
	if r.Alive != "" {
		a.cfg.Hooks.Revive(r.Alive)
	}
	report := ReplicaReport{Revision: &synced}
	if r.Figures {
		report.Figures = a.cfg.Hooks.Reports(r.App)
	}
	return report, nil
}
