package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roombus/roombus/internal/latency"
)

// warmUp is how long each peer runs before it is measured at a concurrency.
const warmUp = 200 * time.Millisecond

// round is one turn of one peer.
type round struct {
	took      time.Duration
	cpu       time.Duration // of all processes
	latencies *latency.Distribution
	failed    int
	failure   error // the first
}

func newRound() *round { return &round{latencies: latency.New()} }

func (r *round) rate() float64 { return float64(r.latencies.Count()) / r.took.Seconds() }

// result is the result of one peer at one concurrency.
type result struct {
	concurrency int
	peer        string
	warmUp      *round // only its failures count
	rounds      []*round
}

// measure lets the peers take turns, round after round, at each concurrency. If the context ends,
// measure returns early with an error.
func (p plan) measure(ctx context.Context, all []contestant) ([]*result, error) {
	body, err := preEvent()
	if err != nil {
		return nil, err
	}
	everything, err := newMeter(ctx)
	if err != nil {
		return nil, err
	}
	var results []*result
	for _, concurrency := range p.Concurrency {
		some, err := p.measureAt(ctx, concurrency, all, everything, body)
		if err != nil {
			return nil, err
		}
		results = append(results, some...)
	}
	return results, nil
}

func (p plan) measureAt(ctx context.Context, concurrency int, all []contestant, everything *meter, body []byte) (results []*result, err error) {
	for _, c := range all {
		r := &result{concurrency: concurrency, peer: c.name}
		if r.warmUp, err = c.turn(ctx, everything, body, concurrency, warmUp); err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	for n := range p.Rounds {
		for i := range all {
			at := (i + n) % len(all) // the order rotates, so that no peer always follows the same other peer
			r, err := all[at].turn(ctx, everything, body, concurrency, p.Duration/time.Duration(p.Rounds))
			if err != nil {
				return nil, err
			}
			results[at].rounds = append(results[at].rounds, r)
		}
	}
	return results, nil
}

// turn gathers as often as it can for the given time, with so many gathers in progress.
func (c contestant) turn(ctx context.Context, everything *meter, body []byte, concurrency int, length time.Duration) (*round, error) {
	r := newRound()
	before, err := everything.read(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var askers sync.WaitGroup
	start := time.Now()
	for range concurrency {
		askers.Go(func() {
			for time.Since(start) < length && ctx.Err() == nil {
				began := time.Now()
				err := c.once(ctx, body)
				took := time.Since(began)
				mu.Lock()
				r.count(took, err)
				mu.Unlock()
			}
		})
	}
	askers.Wait()
	r.took = time.Since(start)
	after, err := everything.read(ctx)
	r.cpu = after - before
	return r, errors.Join(ctx.Err(), err)
}

func (c contestant) once(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := c.gather(ctx, body); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

func (r *round) count(took time.Duration, err error) {
	if err != nil {
		r.failed++
		if r.failure == nil {
			r.failure = err
		}
		return
	}
	r.latencies.Add(took)
}
