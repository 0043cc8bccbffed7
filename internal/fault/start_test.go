package fault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/roomsvc"
)

// A stream without a leader does not answer. A service that starts repeats its request.
func TestStart_LostAnswerIsRequestedAgain(t *testing.T) {
	t.Parallel()
	b := harness.New(t, roomsvc.Config{})
	b.Create(t, "r")
	p := harness.NewProxy(t, strings.TrimPrefix(b.Server.URL(), "nats://"))
	p.LoseToServer("deleted_details")
	harness.Serve(t, harness.ConnectTo(t, p.URL()), roomsvc.Config{AckWait: 300 * time.Millisecond})
	assert.Equal(t, 1, p.Cuts())
}
