package appworker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The context of a handler ends with the lease, whether the handler begins before or after the first
// renewal.
func TestDelivery_HandlerContextEndsWithLease(t *testing.T) {
	t.Parallel()
	for name, renewalFirst := range map[string]bool{"handler first": false, "renewal first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &delivery{}
			d.extendLease(time.Now().Add(20 * time.Millisecond))
			if renewalFirst {
				d.enforceLease()
			}
			ctx, cancel := d.handlerContext(t.Context(), time.Hour)
			defer cancel()
			if !renewalFirst {
				d.enforceLease()
			}
			<-ctx.Done()
			require.True(t, d.expired())
		})
	}
}

// The context of a handler does not end while the lease is renewed.
func TestDelivery_RenewedLeaseKeepsHandlerContext(t *testing.T) {
	t.Parallel()
	d := &delivery{}
	d.extendLease(time.Now().Add(time.Minute))
	ctx, cancel := d.handlerContext(t.Context(), time.Hour)
	defer cancel()
	d.enforceLease()
	d.extendLease(time.Now().Add(time.Hour))
	require.NoError(t, ctx.Err())
	require.False(t, d.expired())
}
