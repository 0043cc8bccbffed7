package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MinServer is the oldest NATS server that is supported. The header that lets a guard name a
// filter came with 2.11; since 2.12 a replicated stream checks the guard against writes in
// flight.
const MinServer = "2.12.0"

// CheckServer returns ErrServerTooOld if the server is older than MinServer, and ErrNoJetStream if
// the server or the account has no JetStream.
func CheckServer(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error {
	if v, err := semver.NewVersion(nc.ConnectedServerVersion()); err == nil && v.LessThan(semver.MustParse(MinServer)) {
		return fmt.Errorf("%w: %s is %s, %s or newer is needed", ErrServerTooOld, nc.ConnectedUrlRedacted(), v, MinServer)
	}
	_, err := js.AccountInfo(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%s: %w", nc.ConnectedUrlRedacted(), ErrNoJetStream)
	case err != nil:
		return fmt.Errorf("asking %s about JetStream: %w", nc.ConnectedUrlRedacted(), err)
	}
	return nil
}

// NotReady reports whether the error comes from a cluster that may still become ready: the cluster
// has no leader yet, or does not answer.
func NotReady(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// Demand selects the settings of a stream that must match the wanted configuration.
type Demand int

// The demands.
const (
	Exists  Demand = iota // none
	Durable               // storage and copies; the operator sets the limits
	Exact                 // every setting that could lose or reorder messages
)

// CheckStream returns a *StreamMissingError if the stream does not exist, and a *StreamDiffersError if
// its configuration does not meet the demand.
func CheckStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, demand Demand) error {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return &StreamMissingError{Stream: want.Name}
	}
	if err != nil {
		return fmt.Errorf("looking up stream %s: %w", want.Name, err)
	}
	is := s.CachedInfo().Config
	if d := differences(is, want, demand); len(d) > 0 {
		return &StreamDiffersError{
			Stream: want.Name, Differences: d, Copies: is.Replicas, WantCopies: want.Replicas, InMemory: is.Storage != want.Storage,
		}
	}
	return nil
}

// JetStream error codes without a name in the client library.
const (
	// A node counts as offline for a moment after its start.
	codeNoPeers   jetstream.ErrorCode = 10005 // too few nodes for the copies of a stream
	codeNoCluster jetstream.ErrorCode = 10074 // several copies on a server outside a cluster
)

// PeersTimeout is how long to wait for nodes that may have just started.
const PeersTimeout = 10 * time.Second

// NoPeers reports whether too few nodes were available for the copies of a stream. A retry within
// PeersTimeout may find nodes that have just started.
func NoPeers(err error) bool { return hasCode(err, codeNoPeers) }

// CreateStream creates a stream. It returns ErrNoCluster if the stream needs several copies and the
// server is not part of a cluster.
func CreateStream(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) error {
	_, err := js.CreateStream(ctx, cfg)
	if hasCode(err, codeNoCluster) {
		err = ErrNoCluster
	}
	if err != nil {
		return fmt.Errorf("creating stream %s with %d copies: %w", cfg.Name, cfg.Replicas, err)
	}
	return nil
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}

type setting struct {
	name     string
	is, must any
}

func differences(is, must jetstream.StreamConfig, demand Demand) []string {
	var settings []setting
	if demand >= Durable {
		settings = append(settings, setting{"storage", is.Storage, must.Storage}, setting{"num_replicas", is.Replicas, must.Replicas})
	}
	if demand >= Exact {
		settings = append(settings, orderingAndLimits(is, must)...)
	}
	var d []string
	for _, f := range settings {
		if f.is != f.must {
			d = append(d, fmt.Sprintf("%s is %v, must be %v", f.name, f.is, f.must))
		}
	}
	return d
}

func orderingAndLimits(is, must jetstream.StreamConfig) []setting {
	return []setting{
		{"subjects", fmt.Sprint(is.Subjects), fmt.Sprint(must.Subjects)},
		{"retention", is.Retention, must.Retention},
		{"max_age", is.MaxAge, must.MaxAge},
		{"max_bytes", unlimited(is.MaxBytes), unlimited(must.MaxBytes)},
		{"max_msgs", unlimited(is.MaxMsgs), unlimited(must.MaxMsgs)},
		{"max_msgs_per_subject", unlimited(is.MaxMsgsPerSubject), unlimited(must.MaxMsgsPerSubject)},
		{"discard", is.Discard, must.Discard},
		{"deny_delete", is.DenyDelete, must.DenyDelete},
		{"deny_purge", is.DenyPurge, must.DenyPurge},
		{"duplicate_window", is.Duplicates, must.Duplicates},
		{"allow_direct", is.AllowDirect, must.AllowDirect},
		{"allow_rollup_hdrs", is.AllowRollup, must.AllowRollup},
		{"allow_msg_ttl", is.AllowMsgTTL, must.AllowMsgTTL},
		{"allow_msg_counter", is.AllowMsgCounter, must.AllowMsgCounter},
		{"allow_msg_schedules", is.AllowMsgSchedules, must.AllowMsgSchedules},
		{"max_msg_size", unlimited(int64(is.MaxMsgSize)), unlimited(int64(must.MaxMsgSize))},
		{"max_consumers", unlimited(int64(is.MaxConsumers)), unlimited(int64(must.MaxConsumers))},
		{"persist_mode", is.PersistMode, must.PersistMode},
		{"republish", is.RePublish != nil, must.RePublish != nil},
		{"no_ack", is.NoAck, must.NoAck},
		{"sealed", is.Sealed, must.Sealed},
		{"mirror", is.Mirror != nil, must.Mirror != nil},
		{"sources", len(is.Sources), len(must.Sources)},
		{"subject_transform", is.SubjectTransform != nil, must.SubjectTransform != nil},
	}
}

// MendStream changes the configuration of a stream to meet the demand, as far as JetStream can change it.
// It never reduces the number of copies.
func MendStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, demand Demand) error {
	s, err := js.Stream(ctx, want.Name)
	if err != nil {
		return fmt.Errorf("looking up stream %s: %w", want.Name, err)
	}
	is := s.CachedInfo().Config
	copies := is
	copies.Replicas = max(is.Replicas, want.Replicas)
	if demand == Exact {
		all := want
		all.Storage, all.Replicas = is.Storage, copies.Replicas
		all.Description, all.Metadata, all.Placement = is.Description, is.Metadata, is.Placement
		all.Compression, all.AllowAtomicPublish = is.Compression, is.AllowAtomicPublish
		if _, err = js.UpdateStream(ctx, all); err == nil {
			return nil
		}
	}
	// If one setting cannot be changed, the number of copies is still raised.
	if _, e := js.UpdateStream(ctx, copies); e != nil {
		return fmt.Errorf("updating stream %s: %w", want.Name, e)
	}
	if err != nil {
		return fmt.Errorf("updating stream %s: %w", want.Name, err)
	}
	return nil
}

// unlimited maps all values that mean "no limit" to -1.
func unlimited(limit int64) int64 {
	if limit <= 0 {
		return -1
	}
	return limit
}
