package consumer

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The pool runs exactly size handlers if enough jobs wait.
func TestPool_RunsUpToSizeHandlers(t *testing.T) {
	t.Parallel()
	const size = 4
	begun, release := make(chan *delivery, 10*size), make(chan struct{})
	p := newPool(size, func(j job) {
		begun <- j.event
		<-release
	})
	for range 3 * size {
		require.True(t, p.add(job{event: &delivery{}}))
	}
	for range size {
		<-begun
	}
	p.mu.Lock()
	require.Equal(t, size, p.started)
	p.mu.Unlock()
	require.Empty(t, begun)
	for range size {
		release <- struct{}{}
		<-begun // a waiting job begins
	}
	require.Empty(t, begun)
	left := p.close()
	require.Len(t, left, size)
	require.False(t, p.add(job{}))
	close(release)
	p.wait()
	require.Empty(t, begun, "no job begins after close")
}

// Idle goroutines are woken, as many as there are jobs.
func TestPool_WakesIdleGoroutines(t *testing.T) {
	t.Parallel()
	const size, rounds = 4, 200
	begun, release := make(chan struct{}), make(chan struct{})
	p := newPool(size, func(job) {
		begun <- struct{}{}
		<-release
	})
	for range rounds {
		for range size {
			p.add(job{})
		}
		for range size {
			<-begun
		}
		for range size {
			release <- struct{}{}
		}
	}
	require.Empty(t, p.close())
	p.wait()
}

// A handler that ends its goroutine does not reduce the number of handlers that can run.
func TestPool_HandlerMayEndItsGoroutine(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 3)
	p := newPool(1, func(job) {
		begun <- struct{}{}
		runtime.Goexit()
	})
	for range cap(begun) {
		p.add(job{})
	}
	for range cap(begun) {
		<-begun
	}
	require.Empty(t, p.close())
	p.wait()
}
