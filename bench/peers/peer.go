package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/roombus/roombus/room"
)

// Gather asks every app about the pre-event and returns the verdicts of all, in any order, or an
// error if one is missing. It is safe for concurrent use.
type Gather func(ctx context.Context, body []byte) ([]room.Verdict, error)

// Peer is one way to ask apps.
type Peer interface {
	Name() string
	// Start starts the apps, each in its own process, and everything needed to ask them. stop ends
	// all of it and is never nil.
	Start(ctx context.Context, apps int) (gather Gather, stop func(), err error)
	// Serve is the main function of an app process. It returns only if it fails. The peer defines
	// the meaning of the address.
	Serve(app, address string) error
}

// peers lists all peers. The first is the one that the others are compared with.
func peers() []Peer {
	return []Peer{roombus{}, webhooks{}, pluginGRPC{}, pluginRPC{}, requestMany{}, watermillReply{}}
}

// choose returns the peers of these names, in the order of peers. Without names it returns all.
func choose(names []string) ([]Peer, error) {
	all := peers()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(p Peer) bool { return p.Name() == name }) {
			var known []string
			for _, p := range all {
				known = append(known, p.Name())
			}
			return nil, fmt.Errorf("there is no peer %q; the peers are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(p Peer) bool { return !slices.Contains(names, p.Name()) }), nil
}

// contestant is a peer that has been started.
type contestant struct {
	name   string
	gather Gather
}

// startAll starts the peers. stop ends those that have been started, also after an error.
func startAll(ctx context.Context, all []Peer, apps int) (started []contestant, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range slices.Backward(stops) {
			s()
		}
	}
	for _, p := range all {
		gather, s, err := p.Start(ctx, apps)
		stops = append(stops, s)
		if err != nil {
			return nil, stop, fmt.Errorf("starting %s: %w", p.Name(), err)
		}
		started = append(started, contestant{name: p.Name(), gather: gather})
	}
	return started, stop, nil
}
