package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// meter reads the processor time of this process and its children, the apps. The apps of the other
// peers are idle and add nothing.
type meter struct{ all []*process.Process }

func newMeter(ctx context.Context) (*meter, error) {
	self, err := process.NewProcessWithContext(ctx, int32(os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("finding this process: %w", err)
	}
	children, err := self.ChildrenWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the apps: %w", err)
	}
	return &meter{all: append(children, self)}, nil
}

// read returns the processor time used so far. A dead app no longer counts: its gathers fail.
func (m *meter) read(ctx context.Context) (time.Duration, error) {
	var seconds float64
	for _, p := range m.all {
		times, err := p.TimesWithContext(ctx)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading the processor time: %w", err)
		}
		seconds += times.User + times.System
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
