package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/appworker"
	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/gcpace"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc"
)

// Role is the task of a process.
type Role string

// Roles.
const (
	RoleService      Role = "service"
	RoleWorker       Role = "worker"
	RoleFloorService Role = "floor-service"
	RoleFloorWorker  Role = "floor-worker"
)

// Part configures one process.
type Part struct {
	Role     Role
	Name     string // of the process, one subject token; for a worker also the app
	Replicas int    // of streams
	Synced   bool   // the NATS server syncs each commit
	Profile  string // folder for profiles, written at the end; empty: none
}

// ready is the line that a process writes when it serves.
const ready = "ready"

// Play plays the part until in is closed, which happens when the parent process ends.
func Play(ctx context.Context, p Part, settings bus.Settings, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, in) // nothing is sent; only the end counts
		stop()
	}()
	profiled, err := startProfile(p)
	if err != nil {
		return err
	}
	defer profiled()
	nc, err := settings.Connect(ctx, nats.Name("roombus bench "+p.Name))
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := reportUsage(nc, p.Name); err != nil {
		return err
	}
	said := func() { fmt.Fprintln(out, ready) }
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	switch p.Role {
	case RoleService:
		go gcpace.Run(ctx) // as serve does
		service, err := roomsvc.Start(ctx, nc, roomsvc.Config{Replicas: p.Replicas, GroupCommits: p.Synced, Logger: log})
		if err != nil {
			return err
		}
		said()
		<-ctx.Done()
		return service.Stop(context.WithoutCancel(ctx))
	case RoleWorker:
		return appworker.Run(ctx, appworker.Config{Conn: nc, Logger: log, OnReady: said}, appworker.Manifest{ID: p.Name, Version: "1.0.0"}, allowing{})
	case RoleFloorService:
		js, err := jetstream.New(nc)
		if err != nil {
			return fmt.Errorf("using JetStream: %w", err)
		}
		if err := newFloor(nc, js).serve(); err != nil {
			return err
		}
	case RoleFloorWorker:
		verdict, err := json.Marshal(room.Verdict{Verdict: room.Allow})
		if err != nil {
			return fmt.Errorf("encoding the verdict: %w", err)
		}
		if _, err := nc.QueueSubscribe(floorAsk(p.Name), p.Name, func(msg *nats.Msg) { _ = msg.Respond(verdict) }); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
	default:
		return fmt.Errorf("there is no role %q", p.Role)
	}
	if err := nc.Flush(); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	said()
	<-ctx.Done()
	return nil
}

// allowing is an app that handles every pre-event and allows it.
type allowing struct{}

func (allowing) PreRoomCreatePrevent(context.Context, room.Create) error { return nil }

func (allowing) PreRoomCreateExtend(context.Context, room.Create) (room.Extension, error) {
	return room.Extension{}, nil
}

func (allowing) PreRoomCreateModify(_ context.Context, e room.Create) (room.Room, error) {
	return e.Room, nil
}

func (allowing) PreRoomUserJoined(context.Context, room.UserJoin) error { return nil }

func (allowing) PreRoomUserLeave(context.Context, room.UserLeave) error { return nil }
