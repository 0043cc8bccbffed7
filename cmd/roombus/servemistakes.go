package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/auth"
)

const (
	// Below leastBudget no app has a fair time to answer. Above mostBudget, the stream may have
	// forgotten the command's id when the service retries the commit.
	leastBudget, mostBudget = 100 * time.Millisecond, 2 * time.Minute
	// leastInFlight gives one room, which may use a quarter of it, one command.
	leastInFlight = 4
	// Below leastMemory the garbage collector would run all the time.
	leastMemory = 64 << 20
)

// mistakes lists the mistakes in the command line and the environment. Each names its remedy.
func (s *serve) mistakes(c *cobra.Command) []string {
	found := s.conn.serverMistakes(c, s.service.Replicas, s.sync)
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if s.service.Budget < leastBudget || s.service.Budget > mostBudget {
		say("--budget must be %s to %s, not %s", leastBudget, mostBudget, s.service.Budget)
	}
	if s.service.MaxInFlight < leastInFlight {
		say("--max-in-flight must be %d or more, as one room may have a quarter of it, not %d", leastInFlight, s.service.MaxInFlight)
	}
	if s.service.BreakerFailures <= 0 {
		say("--breaker-failures must be more than 0, not %d", s.service.BreakerFailures)
	}
	if s.service.BreakerPause <= 0 {
		say("--breaker-pause must be more than 0, not %s", s.service.BreakerPause)
	}
	if s.service.WorkerWait == 0 {
		say("--worker-wait must be more than 0, or -1s for not at all, not 0s")
	}
	if s.service.SnapshotEvery == 0 || s.service.SnapshotEvery < -1 {
		say("--snapshot-every must be more than 0, or -1 for only when the service ends, not %d", s.service.SnapshotEvery)
	}
	for _, prefix := range s.service.ReplyPrefixes {
		if !strings.HasPrefix(prefix, "_") || !bus.IsInboxPrefix(prefix) {
			say("--reply-prefix must begin with an underscore and have no wildcards, no space and no dot at its end, not %q", prefix)
		}
	}
	if limit := debug.SetMemoryLimit(-1); limit < leastMemory {
		say("GOMEMLIMIT must be %d MiB or more, not %s: the service would collect garbage all the time", leastMemory>>20, os.Getenv("GOMEMLIMIT"))
	}
	if !s.conn.elsewhere() {
		found = append(found, s.insideMistakes()...)
	}
	return found
}

// insideMistakes lists the mistakes in the settings of the embedded NATS server.
func (s *serve) insideMistakes() []string {
	var found []string
	if _, port, err := net.SplitHostPort(s.listen); err != nil || !isPort(port) {
		found = append(found, fmt.Sprintf("--listen must be host:port, such as %s, not %q", defaultListen, s.listen))
	}
	if host, _, err := net.SplitHostPort(s.listen); err == nil && !isLoopback(host) && s.auth == "" && !s.insecure {
		found = append(found, fmt.Sprintf("--listen %s lets every machine that reaches it read and change all rooms: "+
			"give --auth DIR, a folder that roombus auth init makes, listen on 127.0.0.1, or give --insecure", s.listen))
	}
	if s.auth != "" {
		if _, err := auth.Open(s.auth); err != nil {
			found = append(found, fmt.Sprintf("--auth must be a folder of roombus auth init: %v", err))
		}
	}
	if dir := cmp.Or(s.storeDir, defaultStoreDir()); !isFolder(dir) {
		found = append(found, fmt.Sprintf("--store-dir must be a folder, and %s is a file: choose another", dir))
	}
	if s.service.NoProvision {
		found = append(found, "--no-provision needs --nats: nothing but serve can make the streams of the embedded NATS server")
	}
	return found
}

// isFolder reports whether the path is a folder, or could be created as one.
func isFolder(path string) bool {
	at, err := os.Stat(path)
	return err != nil || at.IsDir()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
