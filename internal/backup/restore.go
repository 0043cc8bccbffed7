package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// Restored is the result of a restore.
type Restored struct {
	Backup *Manifest `json:"backup"`
	// Now is the data on the server after the restore.
	Now Contents `json:"restored"`
	// Replaced lists the streams that existed before and were removed.
	Replaced []string `json:"replaced,omitempty"`
}

// Restore restores the backup of a folder with so many copies of each stream. It returns
// ErrNoBackup if the folder has no backup, a *ServicesRunError if room services run, and without
// force an *ExistsError if streams exist. In these cases it changes nothing. With force it first
// removes the existing streams. An *IncompleteError says how far the restore came.
func Restore(ctx context.Context, cfg Config, copies int, force bool) (*Restored, error) {
	t, err := newTransfer(cfg)
	if err != nil {
		return nil, err
	}
	m, err := ReadManifest(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := m.check(cfg.Dir); err != nil {
		return nil, err
	}
	if err := bus.CheckServer(ctx, t.Conn, t.js); err != nil {
		return nil, err
	}
	if err := t.noServices(ctx); err != nil {
		return nil, err
	}
	exist, err := t.existing(ctx)
	if err != nil {
		return nil, err
	}
	if len(exist) > 0 && !force {
		return nil, &ExistsError{Streams: exist}
	}
	t.replace = force
	r := &Restored{Backup: m, Replaced: exist}
	for _, name := range exist {
		if err := t.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, &IncompleteError{Err: fmt.Errorf("removing stream %s: %w", name, err)}
		}
	}
	err = t.loadAll(ctx, m, copies)
	r.Replaced = append(r.Replaced, t.replaced...)
	if err != nil {
		var incomplete *IncompleteError
		if errors.As(err, &incomplete) && incomplete.Partly == "" && len(incomplete.Restored)+len(r.Replaced) == 0 {
			return nil, incomplete.Err // nothing has changed
		}
		return nil, err
	}
	if r.Now, err = t.verify(ctx, m, copies); err == nil {
		err = t.release(ctx)
	}
	if err != nil {
		return r, &IncompleteError{Restored: namesOf(m.Streams), Err: err}
	}
	return r, nil
}

func (t *transfer) noServices(ctx context.Context) error {
	services, err := bus.Ping(ctx, t.Conn, subjects.Service)
	if err != nil {
		return fmt.Errorf("looking for room services: %w", err)
	}
	if len(services) == 0 {
		return nil
	}
	e := &ServicesRunError{}
	for _, s := range services {
		e.IDs = append(e.IDs, s.ID)
	}
	slices.Sort(e.IDs)
	return e
}

// existing returns the existing streams of a room service, the events first. It includes the
// snapshots, because they belong to other events than the restored ones.
func (t *transfer) existing(ctx context.Context) ([]string, error) {
	var exist []string
	for _, name := range append(order(), subjects.SnapshotsStream) {
		_, err := t.js.Stream(ctx, name)
		switch {
		case err == nil:
			exist = append(exist, name)
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, fmt.Errorf("looking up stream %s: %w", name, err)
		}
	}
	return exist, nil
}

func namesOf(streams []Stream) []string {
	var names []string
	for _, s := range streams {
		names = append(names, s.Name)
	}
	return names
}

// loadAll restores the streams, the registry first: a service that starts while the registry exists
// and the events do not creates no stream. It returns an *IncompleteError.
func (t *transfer) loadAll(ctx context.Context, m *Manifest, copies int) error {
	names := namesOf(m.Streams)
	if n := slices.Index(names, subjects.AppsStream); n > 0 {
		names = slices.Concat([]string{subjects.AppsStream}, slices.Delete(names, n, n+1))
	}
	var done []string
	for _, name := range names {
		if err := t.loadStream(ctx, name, copies); err != nil {
			e := &IncompleteError{Restored: done, Partly: name, Err: fmt.Errorf("restoring stream %s: %w", name, err)}
			if _, missing := t.js.Stream(ctx, name); errors.Is(missing, jetstream.ErrStreamNotFound) {
				e.Partly = ""
			}
			return e
		}
		done = append(done, name)
	}
	return nil
}

func (t *transfer) loadStream(ctx context.Context, name string, copies int) error {
	dir := filepath.Join(t.Dir, name)
	d, err := readDescription(dir)
	if err != nil {
		return err
	}
	d.Config.Replicas = copies
	if name == subjects.Events {
		d.Config.Metadata = maps.Clone(d.Config.Metadata)
		if d.Config.Metadata == nil {
			d.Config.Metadata = make(map[string]string)
		}
		d.Config.Metadata[subjects.Restoring] = time.Now().UTC().Format(time.RFC3339)
	}
	return t.load(ctx, name, dir, d)
}

// release removes the mark that keeps services waiting.
func (t *transfer) release(ctx context.Context) error {
	stream, err := t.js.Stream(ctx, subjects.Events)
	if err != nil {
		return err
	}
	c := stream.CachedInfo().Config
	c.Metadata = maps.Clone(c.Metadata)
	delete(c.Metadata, subjects.Restoring)
	if _, err := t.js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("updating the metadata of stream %s: %w", subjects.Events, err)
	}
	return nil
}
