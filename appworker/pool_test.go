package appworker

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// As many handlers run as may, and no more, however the events come.
func TestPoolIsAsBusyAsItMayBe(t *testing.T) {
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
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return !p.waking
	}, 10*time.Second, time.Millisecond, "nobody is to come any more")
	require.Empty(t, begun)
	for range size {
		release <- struct{}{}
		<-begun // the place that is free is taken
	}
	require.Empty(t, begun)
	left := p.close()
	require.Len(t, left, size)
	require.False(t, p.add(job{}))
	close(release)
	p.wait()
	require.Empty(t, begun, "nothing begins any more")
}

// Goroutines that have gone idle are woken, each time as many as are needed.
func TestPoolWakes(t *testing.T) {
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

// A handler that ends its goroutine takes neither the program nor a place with it.
func TestPoolOutlivesHandlersThatExit(t *testing.T) {
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
