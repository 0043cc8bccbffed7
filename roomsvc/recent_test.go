package roomsvc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A command is remembered for recentFor at least, and not much longer though no other comes.
func TestCommandsAreForgottenInTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var r recent
	r.add("a", 1, now)
	for _, later := range []time.Duration{0, recentFor, 2*recentFor - time.Second} {
		r.expire(now.Add(later))
		assert.Equal(t, uint64(1), r.find("a"), later)
	}
	r.expire(now.Add(2*recentFor + time.Minute))
	assert.Zero(t, r.find("a"))
	assert.Empty(t, r.generations)
	r.add("b", 2, now)
	assert.Equal(t, uint64(2), r.find("b"))
}
