package bench

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"

	"github.com/roombus/roombus/roomsvc"
)

// Environment describes the machine and the software of a measurement. Unknown fields are empty.
type Environment struct {
	Time    time.Time `json:"time"`
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"` // that this process may use
	OS      string    `json:"os"`
	Arch    string    `json:"arch"`
	Go      string    `json:"go"`
	NATS    string    `json:"nats"`
	Roombus string    `json:"roombus"`
}

func environment(ctx context.Context, nc *nats.Conn) Environment {
	e := Environment{
		Time: time.Now().UTC().Truncate(time.Second), Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Go: runtime.Version(), NATS: nc.ConnectedServerVersion(), Roombus: roomsvc.Version,
	}
	if all, err := cpu.InfoWithContext(ctx); err == nil && len(all) > 0 {
		e.CPU = strings.TrimSpace(all[0].ModelName)
	}
	if info, err := host.InfoWithContext(ctx); err == nil && info.Platform != "" {
		e.OS = strings.TrimSpace(info.Platform + " " + info.PlatformVersion)
	}
	return e
}

func (e Environment) String() string {
	model := e.CPU
	if model == "" {
		model = "unknown CPU"
	}
	return fmt.Sprintf("%s, %d cores, %s (%s), %s, NATS %s, roombus %s", model, e.Cores, e.OS, e.Arch, e.Go, e.NATS, e.Roombus)
}
