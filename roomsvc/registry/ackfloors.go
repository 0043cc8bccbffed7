package registry

import "sync"

// ackFloors are the last known ack floors of the consumers of post-events.
type ackFloors struct {
	mu    sync.Mutex
	byApp map[string]uint64
}

func (f *ackFloors) set(app string, floor uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byApp == nil {
		f.byApp = make(map[string]uint64)
	}
	f.byApp[app] = floor
}

// forget drops the ack floor of an app that is registered for the first time or removed.
func (f *ackFloors) forget(app string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byApp, app)
}

func (f *ackFloors) get(app string) (seq uint64, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seq, known = f.byApp[app]
	return seq, known
}
