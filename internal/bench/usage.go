package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/metrics"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/shirou/gopsutil/v4/process"
)

// Usage is the resources that a process has used since it started.
type Usage struct {
	CPU      time.Duration `json:"cpu"`
	Allocs   uint64        `json:"allocs"` // objects
	Bytes    uint64        `json:"bytes"`  // allocated
	Resident uint64        `json:"resident"`
}

func (u Usage) add(o Usage) Usage {
	return Usage{CPU: u.CPU + o.CPU, Allocs: u.Allocs + o.Allocs, Bytes: u.Bytes + o.Bytes, Resident: u.Resident + o.Resident}
}

func (u Usage) since(o Usage) Usage {
	return Usage{CPU: u.CPU - o.CPU, Allocs: u.Allocs - o.Allocs, Bytes: u.Bytes - o.Bytes, Resident: u.Resident}
}

// sideUsage is the resources that the processes of one side have used.
type sideUsage struct {
	service, workers Usage
	here             Usage // by this process: the clients, and the NATS server if it is embedded
}

func (u sideUsage) add(o sideUsage) sideUsage {
	return sideUsage{service: u.service.add(o.service), workers: u.workers.add(o.workers), here: u.here.add(o.here)}
}

func (u sideUsage) since(o sideUsage) sideUsage {
	return sideUsage{service: u.service.since(o.service), workers: u.workers.since(o.workers), here: u.here.since(o.here)}
}

// ownUsage returns the usage of this process.
func ownUsage() (Usage, error) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return Usage{}, fmt.Errorf("looking at this process: %w", err)
	}
	times, err := p.Times()
	if err != nil {
		return Usage{}, fmt.Errorf("looking at this process's time: %w", err)
	}
	memory, err := p.MemoryInfo()
	if err != nil {
		return Usage{}, fmt.Errorf("looking at this process's memory: %w", err)
	}
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	return Usage{
		CPU:      time.Duration((times.User + times.System) * float64(time.Second)),
		Allocs:   samples[0].Value.Uint64(),
		Bytes:    samples[1].Value.Uint64(),
		Resident: memory.RSS,
	}, nil
}

func usageSubject(name string) string { return "bench.usage." + name }

// reportUsage makes this process answer requests for its usage.
func reportUsage(nc *nats.Conn, name string) error {
	_, err := nc.Subscribe(usageSubject(name), func(msg *nats.Msg) {
		u, err := ownUsage()
		if err != nil {
			return // without an answer the request times out, which is reported
		}
		data, err := json.Marshal(u)
		if err == nil {
			_ = msg.Respond(data)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	return nil
}

// usage returns the usage of another process.
func usage(ctx context.Context, nc *nats.Conn, name string) (Usage, error) {
	var u Usage
	reply, err := nc.RequestWithContext(ctx, usageSubject(name), nil)
	if err != nil {
		return u, fmt.Errorf("asking %s for its usage: %w", name, err)
	}
	if err := json.Unmarshal(reply.Data, &u); err != nil {
		return u, fmt.Errorf("reading the usage of %s: %w", name, err)
	}
	return u, nil
}
