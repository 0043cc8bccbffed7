package main

import (
	"context"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/bus/embedded"
)

// server is an embedded NATS server, as in "roombus serve", which apps reach over TCP. Each peer
// that needs a server has its own.
type server struct {
	*embedded.Server
	nc  *nats.Conn // the asking side's, in process
	dir string
}

func startServer(ctx context.Context) (*server, error) {
	dir, err := os.MkdirTemp("", "roombus-peers-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the server: %w", err)
	}
	s := &server{dir: dir}
	if s.Server, err = embedded.Start(ctx, embedded.Config{StoreDir: dir, Listen: "127.0.0.1:0"}); err != nil {
		s.stop()
		return nil, err
	}
	if s.nc, err = s.Connect(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() {
	if s.nc != nil {
		s.nc.Close()
	}
	if s.Server != nil {
		s.Shutdown()
	}
	_ = os.RemoveAll(s.dir) // a temporary folder
}
