package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// diskReserve is what the server leaves free of its disk. What it takes between two looks is
	// far less, and so is what it writes about consumers, which nobody can refuse.
	diskReserve = 64 << 20
	diskLook    = 250 * time.Millisecond
)

// disk keeps the embedded server going while its disk is full. A stream whose write has failed
// takes nothing any more until JetStream starts anew, and answers nobody. So JetStream refuses
// all messages before the disk is full, and should another program have filled it faster, it is
// started anew when there is room again. Connections stay through both.
type disk struct {
	server *server.Server
	dir    string
	free   func(dir string) (bytes int64, known bool)
	log    *slog.Logger
	failed atomic.Bool // a write, since JetStream was started
	full   bool
}

// watch looks until the context ends.
func (d *disk) watch(ctx context.Context) {
	for ticker := time.NewTicker(diskLook); ; {
		d.look()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ticker.Stop()
			return
		}
	}
}

func (d *disk) look() {
	free, known := d.free(d.dir)
	full := known && free < diskReserve
	if d.full && known {
		full = free < diskReserve+diskReserve/4 // not on and off at the bound
	}
	err := d.set(full)
	switch {
	case err != nil:
		d.log.Error("cannot tell JetStream what room there is on the disk", "free", free, "error", err)
	case full && !d.full:
		d.log.Error("the disk is full: JetStream takes nothing until there is room", "folder", d.dir, "free", free, "reserve", diskReserve)
		d.full = true
	case !full && d.full:
		d.log.Info("there is room on the disk again", "folder", d.dir, "free", free)
		d.full = false
	}
}

// set makes JetStream refuse messages, or take them.
func (d *disk) set(full bool) error {
	if !full && (d.failed.Load() || !d.server.JetStreamEnabled()) {
		return d.restart()
	}
	if full == d.full {
		return nil
	}
	limits := server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}
	if full {
		limits.MaxStore = 0
	}
	return d.server.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits})
}

// restart starts JetStream anew, without limits.
func (d *disk) restart() error {
	d.log.Warn("starting JetStream anew, since a write has failed")
	if err := d.server.ShutdownJetStream(); err != nil {
		return fmt.Errorf("stopping JetStream: %w", err)
	}
	d.failed.Store(false)
	if err := d.server.EnableJetStream(&server.JetStreamConfig{StoreDir: d.dir}); err != nil {
		return fmt.Errorf("starting JetStream: %w", err)
	}
	return nil
}

// fail takes note of a write that has failed for want of room. The server says so in its log
// alone.
func (d *disk) fail(logged []any) {
	for _, v := range logged {
		if err, ok := v.(error); ok && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
			d.failed.Store(true)
		}
	}
}
