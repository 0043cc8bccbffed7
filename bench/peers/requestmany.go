package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/natsext"

	"github.com/roombus/roombus/room"
)

// requestMany broadcasts one request on NATS and collects as many replies as there are apps.
type requestMany struct{}

const userJoinSubject = "peers.userjoin"

func (requestMany) Name() string { return "requestmany" }

func (r requestMany) Start(ctx context.Context, apps int) (gather Gather, stop func(), err error) {
	s, err := startServer(ctx)
	if err != nil {
		return nil, func() {}, err
	}
	responders, err := newProcesses(r.Name())
	if err != nil {
		return nil, s.stop, err
	}
	stop = func() {
		responders.stop()
		s.stop()
	}
	if _, err := responders.start(ctx, apps, s.URL()); err != nil {
		return nil, stop, err
	}
	return func(ctx context.Context, body []byte) ([]room.Verdict, error) {
		replies, err := natsext.RequestMany(ctx, s.nc, userJoinSubject, body, natsext.RequestManyMaxMessages(apps))
		if err != nil {
			return nil, err
		}
		verdicts := make([]room.Verdict, 0, apps)
		for reply, err := range replies {
			if err != nil {
				return nil, err
			}
			v, err := verdict(reply.Data)
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, v)
		}
		if len(verdicts) < apps {
			return nil, errors.New("some apps have not answered")
		}
		return verdicts, nil
	}, stop, nil
}

func (requestMany) Serve(app, url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if _, err := nc.QueueSubscribe(userJoinSubject, app, func(msg *nats.Msg) {
		reply, err := decide(msg.Data)
		if err == nil {
			err = msg.Respond(reply)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, app, err)
		}
	}); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	if err := nc.Flush(); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	ready(url)
	select {}
}
