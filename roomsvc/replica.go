package roomsvc

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// replicaRequest asks every replica of the service what it knows of the apps.
type replicaRequest struct {
	Revision uint64 `json:"revision,omitempty"` // of the bucket, which it should know
	Alive    string `json:"alive,omitempty"`    // the app that has just been heard of
	App      string `json:"app,omitempty"`      // only of this one
	Figures  bool   `json:"figures,omitempty"`  // also how they are doing
}

// Validate returns an error if the request cannot be served.
func (r replicaRequest) Validate() error {
	return errors.Join(room.AppRequest{ID: r.App}.Validate(), room.AppRequest{ID: r.Alive}.Validate())
}

// replicaReport is what one replica knows.
type replicaReport struct {
	Revision *uint64      `json:"revision"` // of the bucket of apps, known so far; nil: it could not say
	Figures  []callReport `json:"figures,omitempty"`
}

// callReport is what one replica has counted of one app and interface.
type callReport struct {
	App       string         `json:"app"`
	Interface room.Interface `json:"interface"`
	statsSnapshot
}

// overdue is how long a change of the bucket takes to come at most, if nothing is amiss.
const overdue = 75 * time.Millisecond

// reportReplica says what this replica knows. If it does not know what it should, for its watch
// may have died with the server that it was on, it reads the bucket anew.
func (s *Service) reportReplica(ctx context.Context, r replicaRequest) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, overdue)
	defer cancel()
	if r.Revision > 0 && s.apps.awaitRevision(ctx, r.Revision) != nil {
		select {
		case s.resync <- struct{}{}:
		default: // it is about to
		}
	}
	if r.Alive != "" {
		s.apps.revive(r.Alive)
	}
	report := replicaReport{Revision: new(s.apps.syncedRevision())}
	if !r.Figures {
		return report, nil
	}
	for _, k := range s.apps.hooks() {
		if r.App != "" && r.App != k.manifest.ID {
			continue
		}
		t := k.stats.statsSnapshot()
		t.Breaker = k.breaker.state()
		report.Figures = append(report.Figures, callReport{App: k.manifest.ID, Interface: k.iface, statsSnapshot: t})
	}
	return report, nil
}

// replicas asks every replica of the service, this one included.
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
		_ = room.DecodeLenient(msg.Data, &report) // one that refuses says nothing
		all = append(all, report)
	}
	return all, nil
}

// tellAlive tells every replica that an app has been heard of: a worker registers when it starts. An
// older replica, which does not know the word, says nothing.
func (s *Service) announceAlive(app string) {
	body, err := json.Marshal(replicaRequest{Alive: app})
	if err == nil {
		err = s.nc.Publish(subjects.App(subjects.Replica), body)
	}
	if err != nil {
		s.log.Warn("cannot tell the other replicas that an app is alive", "app", app, "error", err)
	}
}

// announceTimeout is how long a change of an app waits for the replicas to know it.
const awaitReplicasTimeout = time.Second

// announce returns when every replica that answers knows the bucket up to the revision, so
// that whoever has been told of a change finds it in force wherever it asks. It does not wait
// for ever for one that is behind, nor at all for one that does not answer: that one is cut
// off, and decides nothing before it has read the bucket anew.
func (s *Service) awaitReplicas(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, awaitReplicasTimeout)
	defer cancel()
	for behind := 1; behind > 0; {
		reports, err := s.replicas(ctx, replicaRequest{Revision: revision})
		if err != nil || ctx.Err() != nil {
			s.log.Warn("not every replica is known to know of a change of the apps", "revision", revision, "behind", behind, "error", errors.Join(err, ctx.Err()))
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
