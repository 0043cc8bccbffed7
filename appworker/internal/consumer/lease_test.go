package consumer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The context of a handler ends with the lease, whether the handler begins before or after the first
// renewal.
func TestLease_EndsHandlerContext(t *testing.T) {
	t.Parallel()
	for name, renewalFirst := range map[string]bool{"handler first": false, "renewal first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &lease{}
			l.extendLease(time.Now().Add(20 * time.Millisecond))
			if renewalFirst {
				l.enforceLease()
			}
			ctx, cancel := l.handlerContext(t.Context(), time.Hour)
			defer cancel()
			if !renewalFirst {
				l.enforceLease()
			}
			<-ctx.Done()
			require.True(t, l.expired())
		})
	}
}

// The context of a handler does not end while the lease is renewed.
func TestLease_RenewedKeepsHandlerContext(t *testing.T) {
	t.Parallel()
	l := &lease{}
	l.extendLease(time.Now().Add(time.Minute))
	ctx, cancel := l.handlerContext(t.Context(), time.Hour)
	defer cancel()
	l.enforceLease()
	l.extendLease(time.Now().Add(time.Hour))
	require.NoError(t, ctx.Err())
	require.False(t, l.expired())
}
