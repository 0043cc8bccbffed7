package roomsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// dedupeWindow is how long JetStream knows the id of a message.
const dedupeWindow = 2 * time.Minute

// eventsConfig is the stream of post-events. It is never trimmed, since a live room whose
// last event is gone would accept a guard of 0, and it is not read directly from replicas,
// since what a command's answer rests on must come from the leader.
func eventsConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              subjects.Events,
		Description:       "what happened to rooms: the post-events, which are the rooms",
		Subjects:          []string{subjects.AllEvents},
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew,
		Replicas:          replicas,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        -1,
		Duplicates:        dedupeWindow,
		DenyDelete:        true,
	}
}

// rejectionsFor is how long a rejection is kept.
const rejectionsFor = 7 * 24 * time.Hour

// ensureRejections makes the stream of rejections if it is absent. One that is there is used
// however it is configured: nothing rests on it, and its limits are its operator's. So it may
// be absent as well.
func (s *Service) ensureRejections(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, provisionTry)
	defer cancel()
	_, err := s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:        subjects.Rejections,
		Description: "what did not happen to rooms: denied, blocked and aborted commands",
		Subjects:    []string{subjects.AllRejections},
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardOld,
		MaxAge:      rejectionsFor,
		Replicas:    s.cfg.Replicas,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		s.log.Warn("cannot make the stream of rejections: until it is there they are dropped", "stream", subjects.Rejections, "error", err)
	}
}

// appsBucket is the bucket of the apps' manifests.
func (s *Service) appsBucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      subjects.AppsBucket,
		Description: "the manifests of the registered apps, by id",
		History:     5,
		Storage:     jetstream.FileStorage,
		Replicas:    s.cfg.Replicas,
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		kv, err = s.js.KeyValue(ctx, subjects.AppsBucket)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", subjects.AppsBucket, err)
	}
	return kv, nil
}

// How long a cluster that is still electing its leaders is waited for, and one answer of it.
const (
	provisionTimeout = time.Minute
	provisionTry     = 5 * time.Second
)

// provision checks the server and opens the stream and the bucket, making what is absent.
func (s *Service) provision(ctx context.Context) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		try, cancel := context.WithTimeout(ctx, provisionTry)
		defer cancel()
		err := s.open(try)
		if err != nil && !bus.NotReady(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(provisionTimeout),
		backoff.WithNotify(func(err error, next time.Duration) {
			s.log.Warn("JetStream is not ready yet", "error", err, "again_in", next.Round(time.Millisecond))
		}))
	return err
}

func (s *Service) open(ctx context.Context) error {
	if err := bus.CheckServer(ctx, s.nc, s.js); err != nil {
		return err
	}
	var err error
	if s.stream, err = bus.EnsureStream(ctx, s.js, eventsConfig(s.cfg.Replicas)); err != nil {
		return err
	}
	s.projection = newProjection(s.stream.CachedInfo().Created)
	kv, err := s.appsBucket(ctx)
	if err != nil {
		return err
	}
	s.apps = newApps(kv, s.cfg)
	return nil
}
