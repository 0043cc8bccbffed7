package fault

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Soak is how long a test that can go on is to go on: the short form, or what ROOMBUS_SOAK says.
func Soak(t testing.TB, short time.Duration) time.Duration {
	t.Helper()
	said := os.Getenv("ROOMBUS_SOAK")
	if said == "" {
		return short
	}
	long, err := time.ParseDuration(said)
	require.NoError(t, err, "ROOMBUS_SOAK must be a duration such as 10m")
	return long
}
