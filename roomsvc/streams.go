package roomsvc

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// needed is a stream that a service uses, or the one that a bucket is made of.
type needed struct {
	config jetstream.StreamConfig
	asIs   bool   // one that is there is used however it is configured: its limits are its operator's
	lost   string // what is lost without it; if nothing is said, the service does not start
}

// needs is everything there must be in JetStream; what may be absent comes last.
func needs(replicas int) []needed {
	all := []needed{
		{config: eventsConfig()},
		{config: bucketConfig(subjects.AppsBucket, "the manifests of the registered apps, by id", 5), asIs: true},
		{config: rejectionsConfig(), asIs: true, lost: "rejections"},
	}
	for n := range all {
		all[n].config.Replicas = replicas
	}
	return all
}

// Streams are the configurations of the streams that a service needs, those that buckets are
// made of included, with so many copies of each.
func Streams(replicas int) []jetstream.StreamConfig {
	var all []jetstream.StreamConfig
	for _, n := range needs(replicas) {
		all = append(all, n.config)
	}
	return all
}

// dedupeWindow is how long JetStream knows the id of a message.
const dedupeWindow = 2 * time.Minute

// eventsConfig is the stream of post-events. It is never trimmed, since a live room whose
// last event is gone would accept a guard of 0, and it is not read directly from replicas,
// since what a command's answer rests on must come from the leader.
func eventsConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              subjects.Events,
		Description:       "what happened to rooms: the post-events, which are the rooms",
		Subjects:          []string{subjects.AllEvents},
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew,
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

func rejectionsConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              subjects.Rejections,
		Description:       "what did not happen to rooms: denied, blocked and aborted commands",
		Subjects:          []string{subjects.AllRejections},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        -1,
		MaxAge:            rejectionsFor,
		Duplicates:        dedupeWindow,
	}
}

// bucketConfig is the stream of a key-value bucket, as the client library makes it.
func bucketConfig(name, description string, history int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              subjects.BucketStream(name),
		Description:       description,
		Subjects:          []string{subjects.AllKeys(name)},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: history,
		MaxConsumers:      -1,
		MaxMsgSize:        -1,
		Duplicates:        dedupeWindow,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       true,
	}
}
