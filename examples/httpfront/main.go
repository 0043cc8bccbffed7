// Command httpfront takes HTTP requests and sends commands to the room service:
//
//	GET    /rooms/{room}
//	PUT    /rooms/{room}                    {"room": {"slugifiedName", "type"}, "creator": {"id"}}
//	PUT    /rooms/{room}/members/{user}
//	DELETE /rooms/{room}/members/{user}
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/roomclient"
)

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if err := run(ctx, slog.Default()); err != nil {
		slog.Error("cannot serve requests", "error", err)
		os.Exit(1)
	}
}

// run serves HTTP_ADDR until the context ends, then finishes the requests in progress.
func run(ctx context.Context, log *slog.Logger) error {
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL),
		nats.Name("httpfront"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer nc.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cmp.Or(os.Getenv("HTTP_ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{
		Handler:           front{rooms: roomclient.New(nc, roomclient.Config{}), log: log}.handler(),
		ReadHeaderTimeout: 5 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	log.Info("serving", "url", "http://"+listener.Addr().String())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*commandTimeout)
	defer cancel()
	return server.Shutdown(draining)
}
