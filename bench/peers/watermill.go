package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	watermillnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/components/requestreply"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
)

// watermillReply sends a command on Watermill's command bus over core NATS, and collects the
// replies of all apps with its request-reply component.
type watermillReply struct{}

func (watermillReply) Name() string { return "watermill" }

func (w watermillReply) Start(ctx context.Context, apps int) (gather Gather, stop func(), err error) {
	s, err := startServer(ctx)
	if err != nil {
		return nil, func() {}, err
	}
	handlers, err := newProcesses(w.Name())
	if err != nil {
		return nil, s.stop, err
	}
	stop = func() {
		handlers.stop()
		s.stop()
	}
	if _, err := handlers.start(ctx, apps, s.URL()); err != nil {
		return nil, stop, err
	}
	over, err := newWire(s.nc, "")
	if err != nil {
		return nil, stop, err
	}
	commands, err := cqrs.NewCommandBusWithConfig(over.publisher, cqrs.CommandBusConfig{
		GeneratePublishTopic: func(cqrs.CommandBusGeneratePublishTopicParams) (string, error) { return userJoinSubject, nil },
		Marshaler:            commandMarshaler{},
	})
	if err != nil {
		return nil, stop, err
	}
	return func(ctx context.Context, body []byte) ([]room.Verdict, error) {
		replies, cancel, err := requestreply.SendWithReplies(ctx, commands, over.replies, &command{body: body})
		if err != nil {
			return nil, err
		}
		defer cancel()
		verdicts := make([]room.Verdict, 0, apps)
		for range apps {
			reply, ok := <-replies
			if !ok {
				return nil, errors.New("some apps have not answered")
			}
			if reply.Error != nil {
				return nil, reply.Error
			}
			v, err := verdict(reply.HandlerResult)
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, v)
		}
		return verdicts, nil
	}, stop, nil
}

func (watermillReply) Serve(app, url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	over, err := newWire(nc, app)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	processor, err := cqrs.NewCommandProcessorWithConfig(router, cqrs.CommandProcessorConfig{
		GenerateSubscribeTopic: func(cqrs.CommandProcessorGenerateSubscribeTopicParams) (string, error) { return userJoinSubject, nil },
		SubscriberConstructor: func(cqrs.CommandProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return over.subscriber, nil
		},
		Marshaler: commandMarshaler{},
	})
	if err != nil {
		return err
	}
	err = processor.AddHandlers(requestreply.NewCommandHandlerWithResult(app, over.replies,
		func(_ context.Context, c *command) ([]byte, error) { return decide(c.body) }))
	if err != nil {
		return err
	}
	go func() {
		<-router.Running()
		if nc.Flush() == nil {
			ready(url)
		}
	}()
	return router.Run(context.Background())
}

// wire is Watermill on one NATS connection, so that the subscription for replies exists before the
// command is sent.
type wire struct {
	publisher  message.Publisher
	subscriber message.Subscriber
	replies    requestreply.Backend[[]byte]
}

func newWire(nc *nats.Conn, group string) (*wire, error) {
	core := watermillnats.JetStreamConfig{Disabled: true}
	publisher, err := watermillnats.NewPublisherWithNatsConn(nc, watermillnats.PublisherPublishConfig{
		Marshaler: &watermillnats.NATSMarshaler{}, SubjectCalculator: watermillnats.DefaultSubjectCalculator, JetStream: core,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	subscriber, err := watermillnats.NewSubscriberWithNatsConn(nc, watermillnats.SubscriberSubscriptionConfig{
		QueueGroupPrefix: group, JetStream: core,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	// Each command has its own topic: on a shared topic every asking goroutine would receive all
	// replies.
	replies, err := requestreply.NewPubSubBackend[[]byte](requestreply.PubSubBackendConfig{
		Publisher: publisher,
		SubscriberConstructor: func(requestreply.PubSubBackendSubscribeParams) (message.Subscriber, error) {
			return subscriber, nil
		},
		GenerateSubscribeTopic: func(p requestreply.PubSubBackendSubscribeParams) (string, error) {
			return replyTopic(p.OperationID), nil
		},
		GeneratePublishTopic: func(p requestreply.PubSubBackendPublishParams) (string, error) {
			return replyTopic(p.OperationID), nil
		},
	}, replyMarshaler{})
	if err != nil {
		return nil, err
	}
	return &wire{publisher: publisher, subscriber: subscriber, replies: replies}, nil
}

func replyTopic(id requestreply.OperationID) string { return "peers.reply." + string(id) }
