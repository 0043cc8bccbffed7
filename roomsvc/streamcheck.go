package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomsvc/projection"
	"github.com/roombus/roombus/subjects"
)

// StreamCheck compares a stream with its required configuration.
type StreamCheck struct {
	Stream  string `json:"stream"`
	Copies  int    `json:"copies"` // required number
	Missing bool   `json:"missing,omitempty"`
	// Optional says that the service starts without the stream, or with fewer copies of it.
	Optional    bool     `json:"optional,omitempty"`
	Differences []string `json:"differences,omitempty"` // each as "field is A, must be B"
	InMemory    bool     `json:"inMemory,omitempty"`    // JetStream cannot change the storage
	// Lost says that the content of the stream is lost: it must be restored, not created.
	Lost string `json:"lost,omitempty"`
	// Created and Changed say what ApplyStreams did. Failed says why it could not do everything.
	Created bool   `json:"created,omitempty"`
	Changed bool   `json:"changed,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

// OK reports whether the service can rely on the stream.
func (c StreamCheck) OK() bool {
	return c.Lost == "" && (c.Optional || !c.Missing && len(c.Differences) == 0)
}

// CheckStreams compares the streams with their required configuration, with so many copies. 0
// stands for the number of copies of the stream of events, or 1.
func CheckStreams(ctx context.Context, nc *nats.Conn, replicas int) ([]StreamCheck, error) {
	return compareStreams(ctx, nc, replicas, false)
}

// ApplyStreams creates the missing streams and changes the streams that differ, as far as JetStream
// can change them. It never lowers the number of copies, and creates no stream whose content is
// lost.
func ApplyStreams(ctx context.Context, nc *nats.Conn, replicas int) ([]StreamCheck, error) {
	return compareStreams(ctx, nc, replicas, true)
}

func compareStreams(ctx context.Context, nc *nats.Conn, replicas int, apply bool) ([]StreamCheck, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	if err := bus.CheckServer(ctx, nc, js); err != nil {
		return nil, err
	}
	s := &Service{js: js, nc: nc, log: slog.New(slog.DiscardHandler), snapshots: projection.NewSnapshots(js)}
	lost, err := s.losses(ctx)
	if err != nil {
		return nil, err
	}
	if replicas == 0 {
		events, err := bus.StreamInfo(ctx, s.js, subjects.Events)
		if err != nil {
			return nil, err
		}
		if replicas = 1; events != nil {
			replicas = events.Config.Replicas
		}
	}
	var all []StreamCheck
	for _, n := range requirements(replicas) {
		c, err := checkStream(ctx, js, n)
		if err != nil {
			return nil, err
		}
		for _, l := range lost {
			if l.stream == c.Stream {
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

func checkStream(ctx context.Context, js jetstream.JetStream, n requirement) (StreamCheck, error) {
	c := StreamCheck{Stream: n.config.Name, Copies: n.config.Replicas, Optional: n.lost != ""}
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
func (c *StreamCheck) apply(ctx context.Context, js jetstream.JetStream, n requirement) error {
	var err error
	if c.Missing {
		_, err = js.CreateStream(ctx, n.config)
		c.Created = err == nil
	} else {
		err = bus.MendStream(ctx, js, n.config, n.demand)
	}
	now, checking := checkStream(ctx, js, n)
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
