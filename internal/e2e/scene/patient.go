package scene

import (
	"cmp"
	"testing"
	"time"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
)

// Patient is harness.New with a service and a client that give a command minutes: on a busy machine too, an
// app has as long as its manifest says.
func Patient(t testing.TB, cfg roomsvc.Config) *harness.Bus {
	t.Helper()
	cfg.Budget = cmp.Or(cfg.Budget, 4*time.Minute)
	b := harness.New(t, cfg)
	b.Client = roomclient.New(b.NC, roomclient.Config{Timeout: 5 * time.Minute, AttemptTimeout: 5 * time.Minute})
	return b
}
