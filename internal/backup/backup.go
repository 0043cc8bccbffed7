package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/subjects"
)

// partialFolder holds a backup until it is complete.
const partialFolder = ".partial"

// attempts bounds how often the streams of dead letters are copied while dead letters are being
// replayed.
const attempts = 5

// order is the order in which streams are copied. The package comment gives the reasons.
func order() []string {
	return append([]string{subjects.Events, subjects.AppsStream}, append(deadLetters(), subjects.Rejections)...)
}

func deadLetters() []string {
	return []string{subjects.Replays, subjects.GivenUp, subjects.DeadLetters}
}

// needed reports whether a backup requires the stream.
func needed(name string) bool { return name == subjects.Events || name == subjects.AppsStream }

// Take writes a backup to a folder, which must be empty or not exist. If it fails, it removes
// everything that it wrote. It returns ErrFolder if the folder cannot take a backup.
func Take(ctx context.Context, cfg Config, withoutRejections bool) (*Manifest, error) {
	t, err := newTransfer(cfg)
	if err != nil {
		return nil, err
	}
	made, err := prepare(cfg.Dir)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Format: Format, Version: cfg.Version, NATS: cfg.Conn.ConnectedServerVersion(), Time: time.Now().UTC()}
	if err := t.copyAll(ctx, m, withoutRejections); err != nil {
		return nil, errors.Join(err, clear(cfg.Dir, made))
	}
	if err := t.finish(m); err != nil {
		return nil, errors.Join(fmt.Errorf("%w in %s: %w", ErrFolder, cfg.Dir, err), clear(cfg.Dir, made))
	}
	return m, nil
}

// prepare makes the folder. It reports whether it created it.
func prepare(dir string) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		made = true
	case err != nil:
		return false, fmt.Errorf("%w in %s: %w", ErrFolder, dir, err)
	case len(entries) == 1 && entries[0].Name() == partialFolder:
		return false, fmt.Errorf("%w in %s: it holds an unfinished backup; remove it", ErrFolder, dir)
	case len(entries) > 0:
		return false, fmt.Errorf("%w in %s: it is not empty", ErrFolder, dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, partialFolder), 0o700); err != nil {
		return made, fmt.Errorf("%w in %s: %w", ErrFolder, dir, err)
	}
	return made, nil
}

// clear removes the files of a failed backup: the folder, or only its content if the folder existed
// before.
func clear(dir string, made bool) error {
	written := []string{dir}
	if !made {
		written = nil
		for _, name := range append(order(), manifestFile, partialFolder) {
			written = append(written, filepath.Join(dir, name))
		}
	}
	for _, path := range written {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing the backup that failed: %w", err)
		}
	}
	return nil
}

// finish moves the streams to their places and writes the manifest.
func (t *transfer) finish(m *Manifest) error {
	partial := filepath.Join(t.Dir, partialFolder)
	for _, s := range m.Streams {
		if err := os.Rename(filepath.Join(partial, s.Name), filepath.Join(t.Dir, s.Name)); err != nil {
			return err
		}
	}
	if err := m.write(t.Dir); err != nil {
		return err
	}
	return os.RemoveAll(partial)
}

func (t *transfer) copyAll(ctx context.Context, m *Manifest, withoutRejections bool) error {
	if err := t.copyEvents(ctx, m); err != nil {
		return err
	}
	if err := t.copyApps(ctx, m); err != nil {
		return err
	}
	if err := t.copyDeadLetters(ctx, m); err != nil {
		return err
	}
	if withoutRejections {
		return nil
	}
	return t.copyStream(ctx, m, subjects.Rejections)
}

func (t *transfer) copyEvents(ctx context.Context, m *Manifest) error {
	if err := t.copyStream(ctx, m, subjects.Events); err != nil {
		return err
	}
	events, _ := m.stream(subjects.Events)
	rooms, err := t.rooms(ctx, events.LastSeq)
	if err != nil {
		return err
	}
	now, info, err := t.look(ctx, subjects.Events)
	if err != nil {
		return err
	}
	if _, restoring := info.Config.Metadata[subjects.Restoring]; restoring {
		return ErrRestoring
	}
	if now.gone() == events.gone() {
		m.Rooms = rooms
	} else {
		t.Warn("events of deleted rooms were removed meanwhile: the manifest has no projection hash")
	}
	return nil
}

func (t *transfer) copyApps(ctx context.Context, m *Manifest) error {
	if err := t.copyStream(ctx, m, subjects.AppsStream); err != nil {
		return err
	}
	apps, params, err := t.registry(ctx)
	if err != nil {
		return err
	}
	now, _, err := t.look(ctx, subjects.AppsStream)
	if err != nil {
		return err
	}
	if was, _ := m.stream(subjects.AppsStream); was.LastSeq == now.LastSeq {
		m.Apps, m.Params = apps, params
	} else {
		t.Warn("registrations or documents changed meanwhile: the manifest has no list of them")
	}
	return nil
}

// copyDeadLetters copies the streams between which dead letters move. It repeats the copy if a dead
// letter was replayed meanwhile.
func (t *transfer) copyDeadLetters(ctx context.Context, m *Manifest) error {
	before := len(m.Streams)
	for range attempts {
		m.Streams = m.Streams[:before]
		for _, name := range deadLetters() {
			if err := os.RemoveAll(filepath.Join(t.Dir, partialFolder, name)); err != nil {
				return err
			}
			if err := t.copyStream(ctx, m, name); err != nil {
				return err
			}
		}
		copied, exists := m.stream(subjects.Replays)
		now, _, err := t.look(ctx, subjects.Replays)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound) && !exists:
			return nil
		case err != nil:
			return err
		case now.LastSeq == copied.LastSeq:
			return nil
		}
	}
	return ErrReplaying
}

// copyStream copies a stream and adds it to the manifest.
func (t *transfer) copyStream(ctx context.Context, m *Manifest, name string) error {
	before, _, err := t.look(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !needed(name) {
		t.Warn(fmt.Sprintf("stream %s does not exist and is not in the backup", name))
		return nil
	}
	if err != nil {
		return err
	}
	dir := filepath.Join(t.Dir, partialFolder, name)
	copied, err := t.save(ctx, name, dir)
	if err != nil {
		return err
	}
	after, _, err := t.look(ctx, name)
	if err != nil {
		return err
	}
	s := Stream{
		Name: name, Copies: copied.Config.Replicas,
		Messages: copied.State.Msgs, FirstSeq: copied.State.FirstSeq, LastSeq: copied.State.LastSeq,
		Consumers: between(before.Consumers, after.Consumers),
	}
	s.Removed = after.gone() - min(s.gone(), after.gone())
	if s.Files, err = filesOf(dir); err != nil {
		return fmt.Errorf("copying stream %s: %w", name, err)
	}
	m.Streams = append(m.Streams, s)
	return ctx.Err()
}

// between returns the consumers that existed both before and after the copy: the copy certainly has
// them.
func between(before, after []Consumer) []Consumer {
	both := []Consumer{}
	for _, b := range before {
		for _, a := range after {
			if a.Name == b.Name && a.AckFloor >= b.AckFloor {
				b.AckFloorAfter = a.AckFloor
				both = append(both, b)
			}
		}
	}
	return both
}
