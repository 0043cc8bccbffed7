package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/hooks"
	"github.com/roombus/roombus/subjects"
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
	Revision *uint64        `json:"revision"` // of the bucket, read so far; nil: unknown
	Figures  []hooks.Report `json:"figures,omitempty"`
}

// overdue is the longest usual delay of a change of the bucket.
const overdue = 75 * time.Millisecond

// reportReplica answers with the state of this replica. If the replica has not read the requested
// revision within overdue, its watch may have failed with its server. Then it reads the bucket
// again.
func (s *Service) reportReplica(ctx context.Context, r replicaRequest) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, overdue)
	defer cancel()
	if r.Revision > 0 && s.apps.awaitRevision(ctx, r.Revision) != nil {
		select {
		case s.resync <- struct{}{}:
		default: // a resync is pending
		}
	}
	if r.Alive != "" {
		s.hooks.Revive(r.Alive)
	}
	report := replicaReport{Revision: new(s.apps.syncedRevision())}
	if r.Figures {
		report.Figures = s.hooks.Reports(r.App)
	}
	return report, nil
}

// replicas asks every replica of the service, including this one.
func (s *Service) replicas(ctx context.Context, r replicaRequest) ([]replicaReport, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	replies, err := bus.Broadcast(ctx, s.nc, subjects.App(subjects.Replica), body)
	if err != nil {
		return nil, err
	}
	var all []replicaReport
	for _, msg := range replies {
		var report replicaReport
		_ = room.DecodeLenient(msg.Data, &report) // an error reply leaves the report empty
		all = append(all, report)
	}
	return all, nil
}

// announceAlive tells every replica that an app has registered: a worker registers when it starts.
// An older replica ignores the field.
func (s *Service) announceAlive(app string) {
	body, err := json.Marshal(replicaRequest{Alive: app})
	if err == nil {
		err = s.nc.Publish(subjects.App(subjects.Replica), body)
	}
	if err != nil {
		s.log.Warn("cannot announce to the other replicas that an app is alive", "app", app, "error", err)
	}
}

// awaitReplicasTimeout is how long a change of an app waits for the replicas.
const awaitReplicasTimeout = time.Second

// awaitReplicas returns when every replica that answers has read the bucket up to the revision. A
// client that then asks any replica finds its change in force. awaitReplicas waits for a replica
// that lags only until its timeout, and does not wait for a replica that does not answer. Such a
// replica is cut off, and decides nothing before it has read the bucket again.
func (s *Service) awaitReplicas(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, awaitReplicasTimeout)
	defer cancel()
	for behind := 1; behind > 0; {
		reports, err := s.replicas(ctx, replicaRequest{Revision: revision})
		if err != nil || ctx.Err() != nil {
			s.log.Warn("app change not confirmed by all replicas", "revision", revision, "behind", behind, "error", errors.Join(err, ctx.Err()))
			return
		}
		behind = 0
		for _, r := range reports {
			if r.Revision == nil || *r.Revision < revision {
				behind++
			}
		}
	}
}
