package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// The new leader of a cluster may need a moment until it has the end of the bucket.
const (
	endLooks = 6
	endRetry = 250 * time.Millisecond
)

// mend checks whether the bucket is the one that this service has read. If it was recreated or has
// lost its end, mend writes the missing entries back before anything is read from the bucket. So no
// command is decided with fewer apps or documents than are known.
func (w *watcher) mend(ctx context.Context) error {
	bucket, err := w.lookUpSettled(ctx)
	if err != nil {
		return err
	}
	if !w.entries.differs(bucket) {
		w.entries.resetIfRecreated(bucket)
		return nil
	}
	known, revision := w.entries.known()
	if revision == 0 { // this service knows no entry, but other services may have known some
		if err := w.cfg.CheckLosses(ctx); err != nil {
			return err
		}
	} else if !w.lost {
		w.lost = true
		apps := len(w.entries.list())
		w.cfg.Logger.Error("registry of apps lost known registrations; writing them back before deciding commands",
			"bucket", subjects.AppsBucket, "exists", bucket != nil, "ends", bus.LastSeq(bucket), "known", revision, "apps", apps, "documents", len(known)-apps)
	}
	if bucket == nil {
		if err := w.cfg.EnsureBucket(ctx); err != nil {
			return err
		}
	}
	written, err := w.writeBack(ctx, known)
	if err != nil {
		return err
	}
	if bucket, err = bus.StreamInfo(ctx, w.cfg.JetStream, subjects.AppsStream); err != nil {
		return err
	}
	if bucket == nil {
		return jetstream.ErrBucketNotFound
	}
	if len(known) > 0 {
		if err := w.record.replace(ctx, bus.LastSeq(bucket)); err != nil {
			return err
		}
	}
	w.entries.resetIfRecreated(bucket)
	if w.lost {
		w.lost = false
		w.cfg.Logger.Info("registrations written back", "bucket", subjects.AppsBucket, "known", len(known), "written", written)
	}
	return nil
}

// lookUpSettled looks the bucket up. It retries if the bucket seems to have lost its end.
func (w *watcher) lookUpSettled(ctx context.Context) (*jetstream.StreamInfo, error) {
	for look := 1; ; look++ {
		bucket, err := bus.StreamInfo(ctx, w.cfg.JetStream, subjects.AppsStream)
		if err != nil || look == endLooks || !w.entries.differs(bucket) {
			return bucket, err
		}
		if !bus.Sleep(ctx, endRetry) {
			return nil, ctx.Err()
		}
	}
}

// writeBack stores the known entries that the bucket lacks, and returns their number.
func (w *watcher) writeBack(ctx context.Context, known map[string]entry) (written int, err error) {
	for key, e := range known {
		wrote, err := w.bucket.writeBack(ctx, key, e)
		if err != nil {
			return written, fmt.Errorf("writing %s back to the registry: %w", key, err)
		}
		if wrote {
			written++
		}
	}
	return written, nil
}
