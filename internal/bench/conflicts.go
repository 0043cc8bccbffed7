package bench

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/micro"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// conflicts returns how many races for a room the services have lost so far.
func (st *stage) conflicts(ctx context.Context) (uint64, error) {
	subject, err := micro.ControlSubject(micro.StatsVerb, subjects.Service, "")
	if err != nil {
		return 0, fmt.Errorf("naming the service's subject: %w", err)
	}
	replies, err := bus.Broadcast(ctx, st.nc, subject, nil)
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, msg := range replies {
		var stats micro.Stats
		if err := json.Unmarshal(msg.Data, &stats); err != nil || len(stats.Endpoints) == 0 {
			return 0, fmt.Errorf("reading the service's statistics: %w", err)
		}
		var data roomsvc.EndpointData // every endpoint repeats the data of the whole service
		if err := json.Unmarshal(stats.Endpoints[0].Data, &data); err != nil {
			return 0, fmt.Errorf("reading the service's statistics: %w", err)
		}
		sum += data.Conflicts
	}
	return sum, nil
}
