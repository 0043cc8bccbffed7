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
	// diskReserve is the number of bytes that the server leaves free on its disk. Between two checks
	// the server writes far less. It also writes far less consumer state, which cannot be refused.
	diskReserve       = 64 << 20
	diskCheckInterval = 250 * time.Millisecond
)

// disk keeps the embedded server running while its disk is full. After a failed write a stream
// stores nothing and answers no request until JetStream restarts. Therefore JetStream refuses all
// messages before the disk is full. If another program fills the disk faster, JetStream is
// restarted once there is free space again. Connections survive both.
type disk struct {
	server  *server.Server
	account string // that has the streams
	dir     string
	free    func(dir string) (bytes int64, known bool)
	log     *slog.Logger
	failed  atomic.Bool // a write has failed since JetStream was started
	full    bool
}

// watch checks the disk until the context ends.
func (d *disk) watch(ctx context.Context) {
	for ticker := time.NewTicker(diskCheckInterval); ; {
		d.check()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ticker.Stop()
			return
		}
	}
}

func (d *disk) check() {
	free, known := d.free(d.dir)
	full := known && free < diskReserve
	if d.full && known {
		full = free < diskReserve+diskReserve/4 // hysteresis
	}
	err := d.set(full)
	switch {
	case err != nil:
		d.log.Error("JetStream limits not updated for the free disk space", "free", free, "error", err)
	case full && !d.full:
		d.log.Error("disk full: JetStream refuses messages until there is free space", "folder", d.dir, "free", free, "reserve", diskReserve)
		d.full = true
	case !full && d.full:
		d.log.Info("disk has free space again", "folder", d.dir, "free", free)
		d.full = false
	}
}

// set makes JetStream refuse or accept messages.
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
	account, err := d.server.LookupAccount(d.account)
	if err != nil {
		return fmt.Errorf("looking up account %s: %w", d.account, err)
	}
	return account.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits})
}

// restart restarts JetStream, without limits.
func (d *disk) restart() error {
	d.log.Warn("restarting JetStream after a failed write")
	if err := d.server.ShutdownJetStream(); err != nil {
		return fmt.Errorf("stopping JetStream: %w", err)
	}
	d.failed.Store(false)
	if err := d.server.EnableJetStream(&server.JetStreamConfig{StoreDir: d.dir}); err != nil {
		return fmt.Errorf("starting JetStream: %w", err)
	}
	return nil
}

// fail records a write that failed because the disk is full. The server reports it only in its
// log.
func (d *disk) fail(logged []any) {
	for _, v := range logged {
		if err, ok := v.(error); ok && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
			d.failed.Store(true)
		}
	}
}
