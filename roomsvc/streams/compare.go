package streams

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// Comparison says how a stream differs from its required configuration.
type Comparison struct {
	Stream  string `json:"stream"`
	Copies  int    `json:"copies"` // required number
	Missing bool   `json:"missing,omitempty"`
	// Optional says that the service starts without the stream, or with fewer copies of it.
	Optional    bool     `json:"optional,omitempty"`
	Differences []string `json:"differences,omitempty"` // each as "field is A, must be B"
	InMemory    bool     `json:"inMemory,omitempty"`    // JetStream cannot change the storage
	// Lost says that the content of the stream is lost: it must be restored, not created.
	Lost string `json:"lost,omitempty"`
	// Created and Changed say what Apply did. Failed says why it could not do everything.
	Created bool   `json:"created,omitempty"`
	Changed bool   `json:"changed,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

// OK reports whether the service can rely on the stream.
func (c Comparison) OK() bool {
	return c.Lost == "" && (c.Optional || !c.Missing && len(c.Differences) == 0)
}

// Compare compares the streams with their required configuration.
func (s *Streams) Compare(ctx context.Context) ([]Comparison, error) { return s.compare(ctx, false) }

// Apply creates the missing streams and changes the streams that differ, as far as JetStream can
// change them. It never lowers the number of copies, and creates no stream whose content is lost.
// It returns how the streams differ then.
func (s *Streams) Apply(ctx context.Context) ([]Comparison, error) { return s.compare(ctx, true) }

func (s *Streams) compare(ctx context.Context, apply bool) ([]Comparison, error) {
	js := s.cfg.JetStream
	if err := bus.CheckServer(ctx, s.cfg.Conn, js); err != nil {
		return nil, err
	}
	lost, err := s.losses.find(ctx)
	if err != nil {
		return nil, err
	}
	copies, err := s.copies(ctx)
	if err != nil {
		return nil, err
	}
	var all []Comparison
	for _, n := range requirements(copies) {
		c, err := compareStream(ctx, js, n)
		if err != nil {
			return nil, err
		}
		for _, l := range lost {
			if l.Stream == c.Stream {
				c.Lost = l.Error()
			}
		}
		if apply && c.Lost == "" && (c.Missing || len(c.Differences) > 0) {
			if err := c.apply(ctx, js, n); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// copies returns the required number of copies.
func (s *Streams) copies(ctx context.Context) (int, error) {
	if s.cfg.Copies > 0 {
		return s.cfg.Copies, nil
	}
	events, err := bus.StreamInfo(ctx, s.cfg.JetStream, subjects.Events)
	if err != nil {
		return 0, err
	}
	if events == nil {
		return 1, nil
	}
	return events.Config.Replicas, nil
}

func compareStream(ctx context.Context, js jetstream.JetStream, n requirement) (Comparison, error) {
	c := Comparison{Stream: n.config.Name, Copies: n.config.Replicas, Optional: n.lost != ""}
	err := bus.CheckStream(ctx, js, n.config, max(n.demand, bus.Durable))
	var differs *bus.StreamDiffersError
	var missing *bus.StreamMissingError
	switch {
	case errors.As(err, &missing):
		c.Missing = true
	case errors.As(err, &differs):
		c.Differences, c.InMemory = differs.Differences, differs.InMemory
	case err != nil:
		return c, err
	}
	return c, nil
}

// apply creates or changes the stream, and records the remaining differences.
func (c *Comparison) apply(ctx context.Context, js jetstream.JetStream, n requirement) error {
	var err error
	if c.Missing {
		_, err = js.CreateStream(ctx, n.config)
		c.Created = err == nil
	} else {
		err = bus.MendStream(ctx, js, n.config, n.demand)
	}
	now, checking := compareStream(ctx, js, n)
	if checking != nil {
		return checking
	}
	c.Changed = !c.Created && len(now.Differences) < len(c.Differences)
	c.Missing, c.Differences = now.Missing, now.Differences
	if err != nil && (c.Missing || len(c.Differences) > 0) { // else it succeeded, but the answer was lost
		c.Failed = err.Error()
	}
	return nil
}
