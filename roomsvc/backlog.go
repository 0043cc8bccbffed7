package roomsvc

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

// oldestAsked bounds the questions for oldest events that are in progress at once.
const oldestAsked = 16

// allWaiting is what waits for each app, or for one.
func (s *Service) allWaiting(ctx context.Context, only string) (map[string]room.Waiting, error) {
	infos, err := s.durables(ctx, only)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	all := make(map[string]room.Waiting)
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(oldestAsked)
	for _, info := range infos {
		if _, isApp := s.apps.get(info.Name); !isApp {
			continue
		}
		asking.Go(func() error {
			w, err := s.waiting(ctx, info)
			mu.Lock()
			defer mu.Unlock()
			all[info.Name] = w
			return err
		})
	}
	return all, asking.Wait()
}

// durables are the consumers of the stream, or that of one app.
func (s *Service) durables(ctx context.Context, only string) ([]*jetstream.ConsumerInfo, error) {
	if only != "" {
		consumer, err := s.stream.Consumer(ctx, subjects.Durable(only))
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("looking at the app's consumer: %w", err)
		}
		return []*jetstream.ConsumerInfo{consumer.CachedInfo()}, nil
	}
	var infos []*jetstream.ConsumerInfo
	consumers := s.stream.ListConsumers(ctx)
	for info := range consumers.Info() {
		infos = append(infos, info)
	}
	if err := consumers.Err(); err != nil {
		return nil, fmt.Errorf("looking at the apps' consumers: %w", err)
	}
	return infos, nil
}

func (s *Service) waiting(ctx context.Context, info *jetstream.ConsumerInfo) (room.Waiting, error) {
	w := room.Waiting{
		Backlog:       new(info.NumPending + uint64(info.NumAckPending)),
		AckPending:    info.NumAckPending,
		MaxAckPending: max(0, info.Config.MaxAckPending),
	}
	if *w.Backlog == 0 {
		return w, nil
	}
	var err error
	w.Oldest, err = s.oldest(ctx, info)
	w.Stuck = w.IsStuck(time.Now(), info.Config.AckWait)
	return w, err
}

// oldest is the first event behind the consumer's ack floor that its filters match; nil if it has been
// acknowledged meanwhile.
func (s *Service) oldest(ctx context.Context, info *jetstream.ConsumerInfo) (*room.WaitingEvent, error) {
	var oldest *room.WaitingEvent
	filters := info.Config.FilterSubjects
	if len(filters) == 0 { // as it is with one filter
		filters = []string{info.Config.FilterSubject}
	}
	for _, filter := range filters {
		msg, err := s.stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(cmp.Or(filter, subjects.AllEvents)))
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
