package streams

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/bus"
)

func TestProvision_RetriesWhatMayBecomeReady(t *testing.T) {
	t.Parallel()
	noPeers := errors.Join(&jetstream.APIError{Code: 400, ErrorCode: 10005, Description: "no suitable peers for placement, peer offline"})
	noLeader := &jetstream.APIError{Code: 503, ErrorCode: 10008}
	for _, c := range []struct {
		err    error
		waited time.Duration
		want   bool
	}{
		{noPeers, 0, true},
		{noPeers, bus.PeersTimeout, false},
		{noLeader, bus.PeersTimeout, true},
		{context.DeadlineExceeded, bus.PeersTimeout, true},
		{bus.ErrNoCluster, 0, false},
	} {
		assert.Equal(t, c.want, mayBecomeReady(c.err, c.waited), "%v after %v", c.err, c.waited)
	}
}
