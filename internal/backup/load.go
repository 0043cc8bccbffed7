package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
)

const (
	partBytes = 64 << 10 // of an archive, in one message
	// interestRetry is when a part is sent again that no node took. In a cluster the node that this connection
	// is with may not know yet where the node that restores has subscribed.
	interestRetry   = 50 * time.Millisecond
	interestTimeout = 10 * time.Second
)

// load restores a stream from a folder, as it is described. The library's own function cannot be interrupted, and
// does not send a part again that no node took.
func (t *transfer) load(ctx context.Context, name, dir string, d description) error {
	path, err := jsm.SnapshotDataPath(dir)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	request, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encoding the configuration: %w", err)
	}
	var begun api.JSApiStreamRestoreResponse
	if err := t.ask(ctx, fmt.Sprintf(api.JSApiStreamRestoreT, name), request, requestTimeout, &begun); err != nil {
		return err
	}
	if begun.IsError() {
		return asJetStream(begun.ToError())
	}
	part := make([]byte, min(partBytes, t.Conn.MaxPayload()))
	var sent uint64
	for {
		n, err := f.Read(part)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var taken api.JSApiResponse
		if err := t.ask(ctx, begun.DeliverSubject, part[:n], requestTimeout, &taken); err != nil {
			return err
		}
		if taken.IsError() {
			return asJetStream(taken.ToError())
		}
		sent += uint64(n)
		t.Progress(name, sent, uint64(info.Size()))
	}
	var created api.JSApiStreamCreateResponse
	if err := t.ask(ctx, begun.DeliverSubject, nil, time.Hour, &created); err != nil { // it takes as long as it needs
		return err
	}
	if created.IsError() {
		return asJetStream(created.ToError())
	}
	return nil
}

// ask sends a request and reads the reply, if it has a body.
func (t *transfer) ask(ctx context.Context, subject string, data []byte, timeout time.Duration, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	for {
		msg, err := t.Conn.RequestWithContext(ctx, subject, data)
		switch {
		case err == nil && len(msg.Data) == 0:
			return nil
		case err == nil:
			if err := json.Unmarshal(msg.Data, reply); err != nil {
				return fmt.Errorf("reading the reply of the server: %w", err)
			}
			return nil
		case errors.Is(err, nats.ErrConnectionClosed):
			return ErrDisconnected
		case !errors.Is(err, nats.ErrNoResponders) || time.Since(began) > interestTimeout:
			return err
		}
		select {
		case <-time.After(interestRetry):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
