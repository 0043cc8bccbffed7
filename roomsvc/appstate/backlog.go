package appstate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// oldestAsked bounds the concurrent lookups of oldest events.
const oldestAsked = 16

// queue is the state of an app's consumer of post-events.
type queue struct {
	room.Waiting
	pulled bool // a worker has a pull request pending
}

// queues returns the queue of each app, or of a single app.
func (a *Apps) queues(ctx context.Context, only string) (map[string]queue, error) {
	infos, err := a.durables(ctx, only)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	all := make(map[string]queue)
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(oldestAsked)
	for _, info := range infos {
		if _, isApp := a.cfg.Registry.Get(info.Name); !isApp {
			continue
		}
		asking.Go(func() error {
			w, err := a.waiting(ctx, info)
			mu.Lock()
			defer mu.Unlock()
			all[info.Name] = queue{Waiting: w, pulled: info.NumWaiting > 0}
			return err
		})
	}
	return all, asking.Wait()
}

// durables lists the consumers of the stream, or the consumer of a single app.
func (a *Apps) durables(ctx context.Context, only string) ([]*jetstream.ConsumerInfo, error) {
	if only != "" {
		consumer, err := a.cfg.Events.Consumer(ctx, subjects.Durable(only))
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("looking at the app's consumer: %w", err)
		}
		return []*jetstream.ConsumerInfo{consumer.CachedInfo()}, nil
	}
	var infos []*jetstream.ConsumerInfo
	consumers := a.cfg.Events.ListConsumers(ctx)
	for info := range consumers.Info() {
		infos = append(infos, info)
	}
	if err := consumers.Err(); err != nil {
		return nil, fmt.Errorf("looking at the apps' consumers: %w", err)
	}
	return infos, nil
}

func (a *Apps) waiting(ctx context.Context, info *jetstream.ConsumerInfo) (room.Waiting, error) {
	w := room.Waiting{
		Backlog:       new(info.NumPending + uint64(info.NumAckPending)),
		AckPending:    info.NumAckPending,
		MaxAckPending: max(0, info.Config.MaxAckPending),
	}
	if *w.Backlog == 0 {
		return w, nil
	}
	var err error
	w.Oldest, err = a.oldest(ctx, info)
	w.Stuck = w.IsStuck(time.Now(), info.Config.AckWait)
	return w, err
}

// oldest returns the first event behind the consumer's ack floor that its filters match, nil if it
// has been acknowledged meanwhile.
func (a *Apps) oldest(ctx context.Context, info *jetstream.ConsumerInfo) (*room.WaitingEvent, error) {
	var oldest *room.WaitingEvent
	filters := info.Config.FilterSubjects
	if len(filters) == 0 { // a consumer with one filter has it in FilterSubject
		filters = []string{info.Config.FilterSubject}
	}
	for _, filter := range filters {
		msg, err := a.cfg.Events.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(cmp.Or(filter, subjects.AllEvents)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for the oldest event that waits for app %s: %w", info.Name, err)
		}
		if oldest == nil || msg.Sequence < oldest.Seq {
			_, roomID, _ := subjects.ParsePost(msg.Subject)
			oldest = &room.WaitingEvent{Seq: msg.Sequence, Room: roomID, Time: msg.Time}
		}
	}
	return oldest, nil
}

// messagesByApp counts the messages of a stream that match the filter, by app.
func (a *Apps) messagesByApp(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	there, err := a.cfg.JetStream.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // the rest of the state is still useful
	}
	var info *jetstream.StreamInfo
	if err == nil {
		info, err = there.Info(ctx, jetstream.WithSubjectFilter(filter))
	}
	if err != nil {
		return nil, fmt.Errorf("looking at stream %s: %w", stream, err)
	}
	all := make(map[string]uint64)
	for subject, n := range info.State.Subjects {
		all[subjects.AppOf(subject)] += n
	}
	return all, nil
}
