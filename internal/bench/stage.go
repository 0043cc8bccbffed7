package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/roomsvc/streams"
	"github.com/roombus/roombus/subjects"
)

// stage holds the measured systems: a NATS server, the room services with their workers, and the
// floor with its workers.
type stage struct {
	cfg    Config
	nc     *nats.Conn
	js     jetstream.JetStream
	events jetstream.Stream
	names  atomic.Uint64 // counter for unique names
	rooms  map[int][]string

	services []*child
	floor    *child
	workers  []*child                // of both sides, alternating
	giveUp   context.CancelCauseFunc // called when a process has ended
	policies int                     // in force
	banned   bool                    // the ban list is stored

	replays int
	counted uint64 // conflicts so far
	steps   Step
}

// setUp starts the services. The caller must take the stage down, also after an error. If a process
// ends early, the stage calls giveUp.
func setUp(ctx context.Context, cfg Config, nc *nats.Conn, giveUp context.CancelCauseFunc) (*stage, error) {
	st := &stage{cfg: cfg, nc: nc, rooms: make(map[int][]string), giveUp: giveUp}
	var err error
	if st.js, err = jetstream.New(nc); err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	if err := st.checkEmpty(ctx); err != nil {
		return nil, err
	}
	for n := range cfg.Services {
		service, err := st.launch(ctx, Part{Role: RoleService, Name: "service-" + strconv.Itoa(n+1)})
		if err != nil {
			return st, err
		}
		st.services = append(st.services, service)
	}
	if st.events, err = st.js.Stream(ctx, subjects.Events); err != nil {
		return st, fmt.Errorf("looking up the stream: %w", err)
	}
	floor := st.events.CachedInfo().Config
	floor.Name, floor.Subjects, floor.Description = floorStream, []string{floorEvents}, "what a benchmark is compared with"
	if _, err := st.js.CreateStream(ctx, floor); err != nil {
		return st, fmt.Errorf("making the floor's stream: %w", err)
	}
	st.floor, err = st.launch(ctx, Part{Role: RoleFloorService, Name: "floor-service"})
	return st, err
}

// step reports a completed slice.
func (st *stage) step(what string) {
	st.steps.Done++
	st.report(what)
}

func (st *stage) report(what string) {
	st.steps.What = what
	st.cfg.Report(st.steps)
}

// ErrInUse is returned if the NATS account holds rooms or another benchmark.
var ErrInUse = errors.New("this NATS account is in use; a benchmark needs one of its own")

// streams lists the streams of a benchmark.
func (st *stage) streams() []string {
	all := []string{floorStream}
	for _, c := range streams.Configs(1) {
		all = append(all, c.Name)
	}
	return all
}

func (st *stage) checkEmpty(ctx context.Context) error {
	for _, name := range st.streams() {
		_, err := st.js.Stream(ctx, name)
		if err == nil {
			return fmt.Errorf("%w: stream %s is there", ErrInUse, name)
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("looking for stream %s: %w", name, err)
		}
	}
	return nil
}

// takeDown ends every process and removes the streams.
func (st *stage) takeDown() error {
	var ending sync.WaitGroup
	for _, c := range st.children() {
		ending.Go(c.end)
	}
	ending.Wait()
	if st.nc.IsClosed() {
		return ErrLost
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	var errs []error
	for _, name := range st.streams() {
		if err := st.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, fmt.Errorf("removing stream %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (st *stage) children() []*child {
	all := append([]*child{}, st.services...)
	if st.floor != nil {
		all = append(all, st.floor)
	}
	return append(all, st.workers...)
}

func (st *stage) launch(ctx context.Context, p Part) (*child, error) {
	p.Replicas, p.Synced, p.Profile = st.cfg.Replicas, st.cfg.Synced, st.cfg.Profile
	c, err := launch(ctx, p, st.cfg.Process(p), st.cfg.Settings.Env())
	if err != nil {
		return nil, err
	}
	go func() {
		<-c.ended
		st.giveUp(c.err)
	}()
	return c, nil
}

// addWorkers raises the number of workers on each side. It never lowers it.
func (st *stage) addWorkers(ctx context.Context, apps int) error {
	for n := len(st.workers) / 2; n < apps; n++ {
		name := fmt.Sprintf("app-%02d", n+1)
		for _, p := range []Part{{Role: RoleWorker, Name: name}, {Role: RoleFloorWorker, Name: "floor-" + name}} {
			w, err := st.launch(ctx, p)
			if err != nil {
				return err
			}
			st.workers = append(st.workers, w)
		}
	}
	return nil
}

// floorWorkers returns the names of the floor's workers.
func (st *stage) floorWorkers() []string {
	var names []string
	for _, w := range st.workers {
		if w.part.Role == RoleFloorWorker {
			names = append(names, w.part.Name)
		}
	}
	return names
}

// createRooms creates so many rooms, once.
func (st *stage) createRooms(ctx context.Context, rooms int) error {
	if st.rooms[rooms] != nil {
		return nil
	}
	names := roomNames(rooms)
	if err := st.create(ctx, names); err != nil {
		return err
	}
	st.rooms[rooms] = names
	return nil
}

// create creates rooms with these names.
func (st *stage) create(ctx context.Context, names []string) error {
	var next atomic.Int64
	s, err := st.loadFor(ctx, roombus, 64, 0, shared(func() (request, bool) {
		n := int(next.Add(1)) - 1
		if n >= len(names) {
			return request{}, false
		}
		return creating(names[n], "owner"), true
	}))
	if err != nil {
		return err
	}
	if s.failed > 0 {
		return fmt.Errorf("making %d rooms: %d failed: %s", len(names), s.failed, s.failure)
	}
	return nil
}

// prepare gives the floor its messages.
func (st *stage) prepare(ctx context.Context, s *Sample) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the sample: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	if _, err := st.nc.RequestWithContext(ctx, floorPrepare, data); err != nil {
		return fmt.Errorf("preparing the floor: %w", err)
	}
	return nil
}

// uses returns the resources that one side has used.
func (st *stage) uses(ctx context.Context, of side) (u sideUsage, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	services, role := st.services, RoleWorker
	if of == floorSide {
		services, role = []*child{st.floor}, RoleFloorWorker
	}
	if u.here, err = ownUsage(); err != nil {
		return u, err
	}
	for _, c := range append(slices.Clone(services), st.workers...) {
		into := &u.workers
		switch c.part.Role {
		case RoleService, RoleFloorService:
			into = &u.service
		case role:
		default:
			continue
		}
		used, err := usage(ctx, st.nc, c.part.Name)
		if err != nil {
			return u, err
		}
		*into = into.add(used)
	}
	return u, nil
}
