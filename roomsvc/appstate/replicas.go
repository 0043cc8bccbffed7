package appstate

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Replicas are all replicas of the service, including this one.
type Replicas struct {
	nc  *nats.Conn
	log *slog.Logger
}

// NewReplicas returns the replicas on the connection.
func NewReplicas(nc *nats.Conn, log *slog.Logger) *Replicas { return &Replicas{nc: nc, log: log} }

// AnnounceAlive tells every replica that an app has registered: a worker registers when it starts.
// An older replica ignores the field.
func (r *Replicas) AnnounceAlive(app string) {
	body, err := json.Marshal(ReplicaRequest{Alive: app})
	if err == nil {
		err = r.nc.Publish(subjects.App(subjects.Replica), body)
	}
	if err != nil {
		r.log.Warn("cannot announce to the other replicas that an app is alive", "app", app, "error", err)
	}
}

// awaitReplicasTimeout is how long a change of an app waits for the replicas.
const awaitReplicasTimeout = time.Second

// Await returns when every replica that answers has read the bucket up to the revision. A client
// that then asks any replica finds its change in force. Await waits for a replica that lags only
// until its timeout, and does not wait for a replica that does not answer. Such a replica is cut
// off, and decides nothing before it has read the bucket again.
func (r *Replicas) Await(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, awaitReplicasTimeout)
	defer cancel()
	for behind := 1; behind > 0; {
		reports, err := askReplicas(ctx, r.nc, ReplicaRequest{Revision: revision})
		if err != nil || ctx.Err() != nil {
			r.log.Warn("app change not confirmed by all replicas", "revision", revision, "behind", behind, "error", errors.Join(err, ctx.Err()))
			return
		}
		behind = 0
		for _, report := range reports {
			if report.Revision == nil || *report.Revision < revision {
				behind++
			}
		}
	}
}

// askReplicas returns the reports of the replicas that answer.
func askReplicas(ctx context.Context, nc *nats.Conn, request ReplicaRequest) ([]ReplicaReport, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	replies, err := bus.Broadcast(ctx, nc, subjects.App(subjects.Replica), body)
	if err != nil {
		return nil, err
	}
	var all []ReplicaReport
	for _, msg := range replies {
		var report ReplicaReport
		_ = room.DecodeLenient(msg.Data, &report) // an error reply leaves the report empty
		all = append(all, report)
	}
	return all, nil
}
