package streams

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// requirement is a stream that a service uses, or the stream of a bucket.
type requirement struct {
	config jetstream.StreamConfig
	demand bus.Demand
	lost   string // what is dropped without it; if empty, the service does not start without it
}

// requirements lists the streams of a service. Optional streams come last.
//
// A stream that a guarantee rests on must be on disk and have its copies. Its limits belong to its
// operator, except for the limits of the stream of events.
func requirements(copies int) []requirement {
	all := []requirement{
		{config: eventsConfig(), demand: bus.Exact},
		{config: bucketConfig(subjects.AppsBucket, "the manifests of the registered apps, by id", 5), demand: bus.Durable},
		{config: deadLettersConfig(), demand: bus.Durable},
		{config: replaysConfig(), demand: bus.Durable},
		{config: givenUpConfig(), demand: bus.Durable},
		{config: rejectionsConfig(), lost: "rejections"},
		{config: snapshotsConfig(), lost: "snapshots"},
	}
	for n := range all {
		all[n].config.Replicas = copies
	}
	return all
}

// Configs returns the required configurations of the streams of a service, including the streams of
// buckets, with so many copies of each. The stream of events is the first.
func Configs(copies int) []jetstream.StreamConfig {
	var all []jetstream.StreamConfig
	for _, n := range requirements(copies) {
		all = append(all, n.config)
	}
	return all
}

// maxConsumers bounds the consumers of a stream on which each app has one. The default of the
// server is a thousand.
const maxConsumers = 100_000

// eventsConfig is the stream of post-events. It is never trimmed, since a live room without its
// last event would accept a guard of 0. It does not allow direct gets, since the state behind an
// answer must come from the leader.
func eventsConfig() jetstream.StreamConfig {
	c := unlimited(subjects.Events, "the post-events, from which the rooms are made", subjects.AllEvents)
	c.Discard, c.DenyDelete, c.MaxConsumers = jetstream.DiscardNew, true, maxConsumers
	return c
}

// once is the dedupe window of dead letters and replays.
const once = time.Hour

func deadLettersConfig() jetstream.StreamConfig {
	c := unlimited(subjects.DeadLetters, "post-events that apps could not process, until an operator replays or purges them", subjects.AllDead)
	c.Duplicates = once
	return c
}

func replaysConfig() jetstream.StreamConfig {
	c := unlimited(subjects.Replays, "dead letters to deliver again to their apps", subjects.AllReplays)
	c.Retention, c.Duplicates, c.MaxConsumers = jetstream.WorkQueuePolicy, once, maxConsumers
	return c
}

func givenUpConfig() jetstream.StreamConfig {
	c := unlimited(subjects.GivenUp, "advisories about events after max deliveries, until they are dead letters",
		subjects.GivenUpOf(subjects.Events), subjects.GivenUpOf(subjects.Replays))
	c.Retention = jetstream.WorkQueuePolicy
	return c
}

// rejectionsFor is how long a rejection is kept.
const rejectionsFor = 7 * 24 * time.Hour

func rejectionsConfig() jetstream.StreamConfig {
	c := unlimited(subjects.Rejections, "denied, blocked and aborted commands", subjects.AllRejections)
	c.MaxAge = rejectionsFor
	return c
}

// bucketConfig is the stream of a key-value bucket, as the client library creates it.
func bucketConfig(name, description string, history int64) jetstream.StreamConfig {
	c := unlimited(subjects.BucketStream(name), description, subjects.AllKeys(name))
	c.Discard, c.MaxMsgsPerSubject = jetstream.DiscardNew, history
	c.AllowRollup, c.DenyDelete, c.AllowDirect = true, true, true
	return c
}

// snapshotsConfig is the stream of an object store, as the client library creates it.
func snapshotsConfig() jetstream.StreamConfig {
	c := unlimited(subjects.SnapshotsStream, "snapshots of the rooms, from which room services start",
		subjects.SnapshotParts(">"), subjects.AllSnapshotMetas)
	c.Discard, c.Compression = jetstream.DiscardNew, jetstream.S2Compression
	c.AllowRollup, c.AllowDirect = true, true
	return c
}

// unlimited is a stream on disk without limits.
func unlimited(name, description string, of ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              name,
		Description:       description,
		Subjects:          of,
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        -1,
		Duplicates:        subjects.DedupeFor,
	}
}
