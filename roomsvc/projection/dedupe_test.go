package projection

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/subjects"
)

// A command is remembered for at least DedupeFor, and not much longer if no other command comes.
func TestDedupe_CommandsExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var r dedupe
	r.add("a", 1, now)
	for _, later := range []time.Duration{0, subjects.DedupeFor, 2*subjects.DedupeFor - time.Second} {
		r.expire(now.Add(later))
		assert.Equal(t, uint64(1), r.find("a"), later)
	}
	r.expire(now.Add(2*subjects.DedupeFor + time.Minute))
	assert.Zero(t, r.find("a"))
	assert.Empty(t, r.generations)
	r.add("b", 2, now)
	assert.Equal(t, uint64(2), r.find("b"))
	r.generations[0].since = now.Add(-3 * subjects.DedupeFor)
	r.add("c", 3, now)
	assert.Zero(t, r.find("b"), "a new generation ends old ones")
	r.add("old", 4, now.Add(-subjects.DedupeFor-2*clockSkew))
	assert.Zero(t, r.find("old"), "an id that JetStream has forgotten is not remembered")
}

func TestDedupe_FrozenGenerationsDoNotChange(t *testing.T) {
	t.Parallel()
	var r dedupe
	now := time.Now()
	r.add("a", 2, now)
	frozen := r.freeze()
	r.add("b", 3, now)
	require.Len(t, frozen, 1)
	assert.Equal(t, map[string]uint64{"a": 2}, frozen[0].seqs)
	assert.Equal(t, uint64(2), r.find("a"))
	assert.Equal(t, uint64(3), r.find("b"))
}
