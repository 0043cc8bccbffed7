package appworker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The context of a handler ends with the lease, whether the handler or who keeps leases came first.
func TestAHandlerEndsWithTheLease(t *testing.T) {
	t.Parallel()
	for name, keptFirst := range map[string]bool{"handler first": false, "kept first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &delivery{}
			d.extend(time.Now().Add(20 * time.Millisecond))
			if keptFirst {
				d.keep()
			}
			ctx, cancel := d.handling(t.Context(), time.Hour)
			defer cancel()
			if !keptFirst {
				d.keep()
			}
			<-ctx.Done()
			require.True(t, d.expired())
		})
	}
}

// A lease that is kept does not end.
func TestAKeptLeaseGoesOn(t *testing.T) {
	t.Parallel()
	d := &delivery{}
	d.extend(time.Now().Add(time.Minute))
	ctx, cancel := d.handling(t.Context(), time.Hour)
	defer cancel()
	d.keep()
	d.extend(time.Now().Add(time.Hour))
	require.NoError(t, ctx.Err())
	require.False(t, d.expired())
}
