package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
)

const (
	requestTimeout = 30 * time.Second // for one API request, and for one part of a restore
	stalledAfter   = 30 * time.Second // without a part of a copy
)

// Config configures a backup or a restore.
type Config struct {
	// Conn must not reconnect: messages sent while the connection is lost would be missing in the
	// copy.
	Conn *nats.Conn
	// JSDomain is the JetStream domain of the streams; empty if they are in the account of Conn.
	JSDomain string
	Dir      string
	Version  string // of roombus
	// Progress is called with the progress of a stream, in bytes or messages. Calls do not overlap.
	// It may be nil.
	Progress func(stream string, done, all uint64)
	// Warn is called with problems that do not end the backup or restore. It may be nil.
	Warn func(string)
}

// transfer copies streams from and to a server.
type transfer struct {
	Config
	js      jetstream.JetStream
	jsm     *jsm.Manager
	replace bool // existing streams are replaced
	// replaced lists the streams that were removed because they appeared during the restore.
	replaced []string
}

func newTransfer(c Config) (*transfer, error) {
	c.Progress = oneByOne(c.Progress)
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
	js, err := bus.JetStream(c.Conn, c.JSDomain)
	if err != nil {
		return nil, err
	}
	manager, err := jsm.New(c.Conn, jsm.WithTimeout(requestTimeout), jsm.WithDomain(c.JSDomain))
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	return &transfer{Config: c, js: js, jsm: manager}, nil
}

// oneByOne serializes calls: the library calls progress from several goroutines.
func oneByOne(progress func(string, uint64, uint64)) func(string, uint64, uint64) {
	var mu sync.Mutex
	return func(stream string, done, all uint64) {
		if progress == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		progress(stream, done, all)
	}
}

// description is the part of a stream that is copied besides its messages and consumers.
type description struct {
	Config api.StreamConfig `json:"config"`
	State  api.StreamState  `json:"state"`
}

func readDescription(dir string) (d description, err error) {
	data, err := os.ReadFile(filepath.Join(dir, jsm.SnapshotMetaFile))
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	return d, err
}

// save copies a stream to a folder.
func (t *transfer) save(ctx context.Context, name, dir string) (description, error) {
	stream, err := t.jsm.LoadStream(name)
	if err != nil {
		return description{}, fmt.Errorf("looking up stream %s: %w", name, asJetStream(err))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := watch{conn: t.Conn, last: time.Now(), stop: cancel}
	_, err = stream.SnapshotToDirectory(ctx, dir, jsm.SnapshotConsumers(), jsm.SnapshotNotify(func(p jsm.SnapshotProgress) {
		w.look(p.BytesReceived())
		t.Progress(name, p.UncompressedBytesReceived(), p.BytesExpected())
	}))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return description{}, fmt.Errorf("copying stream %s: %w", name, asJetStream(err))
	}
	d, err := readDescription(dir)
	if err != nil {
		return d, fmt.Errorf("copying stream %s: %w", name, err)
	}
	return d, nil
}

// watch cancels a copy that has stalled. The library calls look for each part and each second.
type watch struct {
	conn *nats.Conn
	stop context.CancelCauseFunc

	mu       sync.Mutex
	received uint64
	last     time.Time
}

func (w *watch) look(received uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.conn.IsConnected():
		w.stop(ErrDisconnected)
	case received != w.received:
		w.received, w.last = received, time.Now()
	case time.Since(w.last) > stalledAfter:
		w.stop(ErrStalled)
	}
}
