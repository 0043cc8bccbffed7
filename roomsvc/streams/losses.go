package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// The service does not simply create a missing stream. Without a registry no app is asked, and without
// the stream of events there are no rooms. So the service looks in the other streams for signs that
// the stream existed:
//
//	ROOM_EVENTS  is lost if it is missing although there is a registry, which is created after
//	             it; or if it has no event and there is a snapshot with events; or if its
//	             metadata says that it is being restored
//	ROOM_APPS    is lost if its last revision is lower than the revision recorded in the metadata
//	             of ROOM_EVENTS; without a record, if it has no revision and ROOM_EVENTS has
//	             consumers of apps, or events about which apps were asked
//
// An installation that never had an app has none of these signs.

// LostError is returned when a stream has lost its content. No command may be decided until it is
// restored.
type LostError struct {
	Stream string
	Why    string
	Remedy string // what an operator can do
}

func (e *LostError) Error() string { return e.Why + ": " + e.Remedy }

// The new leader of a cluster may need a moment until it has the end of a stream.
const (
	lossLooks = 6
	lossRetry = 250 * time.Millisecond
)

// CheckLosses returns a *LostError if a stream is lost and the configuration does not allow to begin
// without it.
func (s *Streams) CheckLosses(ctx context.Context) error {
	for look := 1; ; look++ {
		lost, err := s.losses.find(ctx)
		if err != nil || len(lost) == 0 {
			return err
		}
		n := slices.IndexFunc(lost, func(e *LostError) bool { return !s.mayBeginWithout(e.Stream) })
		if n < 0 {
			return s.beginWithout(ctx, lost)
		}
		if look == lossLooks {
			return lost[n]
		}
		if !bus.Sleep(ctx, lossRetry) {
			return ctx.Err()
		}
	}
}

func (s *Streams) mayBeginWithout(stream string) bool {
	return stream == subjects.Events && s.cfg.NewEvents || stream == subjects.AppsStream && s.cfg.NewRegistry
}

// beginWithout logs the lost streams that the service begins without. It removes the snapshot of a
// lost stream, which would be a sign of the loss at every start.
func (s *Streams) beginWithout(ctx context.Context, lost []*LostError) error {
	for _, e := range lost {
		s.log.Warn("starting without the lost stream", "stream", e.Stream, "lost", e.Why)
		if e.Stream == subjects.Events {
			if err := s.cfg.Snapshots.Discard(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// losses looks for lost streams.
type losses struct {
	js        jetstream.JetStream
	snapshots Snapshots
}

// find returns the streams that are lost. It reads the record of the registry's revision before
// the registry, since services write them in the opposite order.
func (l losses) find(ctx context.Context) ([]*LostError, error) {
	events, err := bus.StreamInfo(ctx, l.js, subjects.Events)
	if err != nil {
		return nil, err
	}
	registry, err := bus.StreamInfo(ctx, l.js, subjects.AppsStream)
	if err != nil {
		return nil, err
	}
	var lost []*LostError
	e, err := l.events(ctx, events, registry)
	if e != nil {
		lost = append(lost, e)
	}
	if err == nil && events != nil {
		e, err = l.registry(ctx, events, registry)
		if e != nil {
			lost = append(lost, e)
		}
	}
	return lost, err
}

func (l losses) events(ctx context.Context, events, registry *jetstream.StreamInfo) (*LostError, error) {
	if events != nil && events.Config.Metadata[subjects.Restoring] != "" {
		return &LostError{
			Stream: subjects.Events,
			Why:    "a backup is being restored since " + events.Config.Metadata[subjects.Restoring],
			Remedy: "wait until roombus restore has ended; if it was interrupted, run it again with --force",
		}, nil
	}
	if bus.LastSeq(events) > 0 {
		return nil, nil
	}
	var signs []string
	if events == nil && registry != nil {
		signs = append(signs, fmt.Sprintf("a registry of apps at revision %d", bus.LastSeq(registry)))
	}
	seq, err := l.snapshots.End(ctx)
	if err != nil {
		return nil, err
	}
	if seq > 0 {
		signs = append(signs, fmt.Sprintf("a snapshot as of sequence %d", seq))
	}
	if len(signs) == 0 {
		return nil, nil
	}
	state := "is empty"
	if events == nil {
		state = "is gone"
	}
	return &LostError{
		Stream: subjects.Events,
		Why:    fmt.Sprintf("the stream %s %s, but there is %s", subjects.Events, state, strings.Join(signs, " and ")),
		Remedy: "restore it from a backup, or start a room service with --new-events to begin with no rooms",
	}, nil
}

// registryRemedy is what an operator can do about a registry that is lost.
const registryRemedy = "remove what is left of stream " + subjects.AppsStream + " and restore it from a backup (nats stream restore), " +
	"or start the room service with --new-registry: then apps are asked once their workers have registered again"

func (l losses) registry(ctx context.Context, events, bucket *jetstream.StreamInfo) (*LostError, error) {
	lost := func(format string, args ...any) (*LostError, error) {
		return &LostError{Stream: subjects.AppsStream, Why: "the registry of apps is lost: " + fmt.Sprintf(format, args...), Remedy: registryRemedy}, nil
	}
	state := fmt.Sprintf("bucket %s ends at revision %d", subjects.AppsBucket, bus.LastSeq(bucket))
	switch {
	case bucket == nil:
		state = fmt.Sprintf("bucket %s is gone", subjects.AppsBucket)
	case bucket.Config.Storage == jetstream.MemoryStorage:
		return &LostError{
			Stream: subjects.AppsStream,
			Why:    fmt.Sprintf("the registry of apps does not outlast the server: stream %s has memory storage", subjects.AppsStream),
			Remedy: "back it up, remove it, and restore it with file storage",
		}, nil
	}
	if record, ok := subjects.RegistryRecordOf(events.Config.Metadata); ok {
		var had []string
		if len(record.Apps) > 0 {
			had = append(had, "the apps "+strings.Join(record.Apps, ", "))
		}
		if len(record.Params) > 0 {
			had = append(had, "the documents "+strings.Join(record.Params, ", "))
		}
		if len(had) == 0 || bus.LastSeq(bucket) >= record.Revision {
			return nil, nil
		}
		return lost("%s, revision %d is known, with %s", state, record.Revision, strings.Join(had, " and "))
	}
	if bus.LastSeq(bucket) > 0 {
		return nil, nil
	}
	apps, err := l.apps(ctx, events)
	if err != nil || len(apps) == 0 {
		return nil, err
	}
	return lost("%s, but stream %s has consumers of these apps, or they were asked about its last events: %s", state, subjects.Events, strings.Join(apps, ", "))
}

// apps lists the apps that have left a trace in the stream of events: a consumer, or an answer in
// the last event of each type.
func (l losses) apps(ctx context.Context, events *jetstream.StreamInfo) ([]string, error) {
	stream, err := l.js.Stream(ctx, subjects.Events)
	if err != nil {
		return nil, fmt.Errorf("looking for apps in stream %s: %w", subjects.Events, err)
	}
	apps := make(map[string]bool)
	if events.State.Consumers > 0 {
		list := stream.ListConsumers(ctx)
		for c := range list.Info() {
			if c.Name == c.Config.Durable && c.Config.Description == subjects.DurableDescription(c.Name) {
				apps[c.Name] = true
			}
		}
		if err := list.Err(); err != nil {
			return nil, fmt.Errorf("listing the consumers of stream %s: %w", subjects.Events, err)
		}
	}
	for _, e := range room.EventTypes() {
		msg, err := stream.GetLastMsgForSubject(ctx, subjects.PostsLike(e))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for apps in stream %s: %w", subjects.Events, err)
		}
		event, err := subjects.DecodePost(msg.Subject, msg.Header, msg.Data, msg.Sequence)
		if err != nil {
			continue // the event is quarantined
		}
		for _, a := range event.Data.Apps {
			apps[a.App] = true
		}
	}
	return slices.Sorted(maps.Keys(apps)), nil
}
