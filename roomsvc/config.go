package roomsvc

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/roombus/roombus/room"
)

// Config configures a service. The zero Config uses the defaults.
type Config struct {
	// ID identifies this service among all replicas. It must be a subject token. Default: a new id.
	ID string
	// Metadata is shown in the micro protocol beside the id, such as the host. Default: none.
	Metadata map[string]string
	// OnReadiness is called when the service becomes ready or unready and when the reason changes,
	// also before Start returns. Calls come one after the other and must not block. Default: no
	// call.
	OnReadiness func(Readiness)
	// Replicas is the number of copies of the stream and the bucket. Default 1.
	Replicas int
	// NoProvision says that an operator creates the streams and buckets, as streams.Configs
	// returns them. Then the service checks them and creates none. It still creates the
	// consumers of apps.
	NoProvision bool
	// NewRegistry lets the service start although the registry of apps is missing, empty, or older
	// than recorded. Apps are not asked until they register again. Without it the service answers
	// unavailable until the registry is restored. Set it for one start only.
	NewRegistry bool
	// NewEvents lets the service start with no rooms although the stream of events is missing, or
	// is empty beside registered apps or a snapshot. Without it the service answers unavailable
	// until the stream is restored. Set it for one start only.
	NewEvents bool
	// MaxInFlight bounds the requests in progress. More requests are refused as overloaded. One
	// room may have a quarter of them. Default 4096.
	MaxInFlight int
	// Budget is the total time of a command. Default 4 s: clients commonly wait for 5 s, and the
	// answer must come before.
	Budget time.Duration
	// AckWait is how long the service waits for JetStream before the outcome of a commit counts as
	// unknown. Default 2 s.
	AckWait time.Duration
	// CommitPatience is how long a commit is retried while JetStream fails. Default 2 s.
	CommitPatience time.Duration
	// MaxConflicts is how often a command is retried after a conflict. Default 16.
	MaxConflicts int
	// BreakerFailures is the number of failures or timeouts in a row that open the circuit breaker
	// of an app and interface. Default 5.
	BreakerFailures int
	// BreakerPause is how long an open breaker waits before it probes the app. Default 5 s.
	BreakerPause time.Duration
	// WorkerWait is how long a starting service waits, before it serves, for a live worker of each
	// app that is enabled, essential and no shadow. Default 5 s; negative: it does not wait.
	WorkerWait time.Duration
	// RetainDeleted is the minimum time for which the history of a deleted room stays in the
	// stream. 0 keeps it only until every consumer has read it. KeepDeleted, or any negative value,
	// keeps it for ever. Default, for nil: 30 days.
	RetainDeleted *time.Duration
	// SnapshotEvery is the number of events after which a snapshot of the rooms is written, for the
	// next start. Default 100,000; negative: one is only written at Stop.
	SnapshotEvery int
	// GroupCommits commits changes of different rooms together when many come at once. It is faster
	// with a single NATS server that syncs each commit to disk. Elsewhere it is slower. It is
	// refused with Replicas above 1.
	GroupCommits bool
	// StreamCheck is the interval between checks of the streams, their events and the consumers of
	// apps. Default 1 min.
	StreamCheck time.Duration
	// ReplyPrefixes are the inbox prefixes of clients, in addition to _INBOX.
	ReplyPrefixes []string
	// Logger gets the log of the service. Default: none.
	Logger *slog.Logger
}

// KeepDeleted is the Config.RetainDeleted that keeps the history of deleted rooms for ever.
const KeepDeleted time.Duration = -1

// Defaults returns the zero Config with every default filled in.
func Defaults() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Replicas, 1)
	def(&c.MaxInFlight, 4096)
	def(&c.MaxConflicts, 16)
	def(&c.BreakerFailures, 5)
	def(&c.SnapshotEvery, 100_000)
	defTime(&c.BreakerPause, 5*time.Second)
	defTime(&c.WorkerWait, 5*time.Second)
	defTime(&c.Budget, 4*time.Second)
	defTime(&c.AckWait, 2*time.Second)
	defTime(&c.CommitPatience, 2*time.Second)
	defTime(&c.StreamCheck, time.Minute)
	if c.RetainDeleted == nil {
		c.RetainDeleted = new(30 * 24 * time.Hour)
	}
	if c.OnReadiness == nil {
		c.OnReadiness = func(Readiness) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Replicas", int64(c.Replicas)},
		{"MaxInFlight", int64(c.MaxInFlight)},
		{"MaxConflicts", int64(c.MaxConflicts)},
		{"Budget", int64(c.Budget)},
		{"AckWait", int64(c.AckWait)},
		{"CommitPatience", int64(c.CommitPatience)},
		{"StreamCheck", int64(c.StreamCheck)},
		{"BreakerFailures", int64(c.BreakerFailures)},
		{"BreakerPause", int64(c.BreakerPause)},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", f.name))
		}
	}
	if c.ID != "" {
		errs = append(errs, room.ValidateToken("ID", c.ID))
	}
	if c.GroupCommits && c.Replicas > 1 {
		errs = append(errs, fmt.Errorf("GroupCommits is for streams without copies, not for Replicas %d", c.Replicas))
	}
	for _, prefix := range c.ReplyPrefixes {
		if !strings.HasPrefix(prefix, "_") {
			errs = append(errs, fmt.Errorf("ReplyPrefixes: %q must begin with an underscore, so that no reply goes to a subject in use", prefix))
		}
	}
	return errors.Join(errs...)
}
