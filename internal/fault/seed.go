package fault

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Seed is what the random choices of a test are drawn from: ROOMBUS_SEED, or another each time.
// The test's log names it. The same seed makes the same choices; when they fall is up to the
// machine.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if said := os.Getenv("ROOMBUS_SEED"); said != "" {
		var err error
		seed, err = strconv.ParseUint(said, 10, 64)
		require.NoError(t, err, "ROOMBUS_SEED must be a whole number")
	}
	t.Logf("ROOMBUS_SEED=%d", seed)
	return seed
}
