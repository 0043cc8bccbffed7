package fault_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// seed returns the seed for the random choices of a test: ROOMBUS_SEED, or a new one for each run.
// It is logged. The same seed makes the same choices, but their timing depends on the machine.
func seed(t testing.TB) uint64 {
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
