package fault_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soak returns how long a test runs: the short time, or the duration in ROOMBUS_SOAK.
func soak(t testing.TB, short time.Duration) time.Duration {
	t.Helper()
	said := os.Getenv("ROOMBUS_SOAK")
	if said == "" {
		return short
	}
	long, err := time.ParseDuration(said)
	require.NoError(t, err, "ROOMBUS_SOAK must be a duration such as 10m")
	return long
}
