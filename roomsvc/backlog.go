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

// queue is an app's consumer of post-events.
type queue struct {
	room.Waiting
	pulled bool // something waits for its next event
}

// queues are those of each app, or of one.
func (s *Service) queues(ctx context.Context, only string) (map[string]queue, error) {
	infos, err := s.durables(ctx, only)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	all := make(map[string]queue)
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
			all[info.Name] = queue{Waiting: w, pulled: info.NumWaiting > 0}
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

// messagesByApp counts the messages of a stream that are an app's, of those that the filter matches.
func (s *Service) messagesByApp(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	there, err := s.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // how the app is doing apart from that can be said
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
