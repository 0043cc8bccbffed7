package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
)

const (
	partBytes = 64 << 10 // of an archive, in one message
	// interestRetry is when a part is sent again that no node took. In a cluster the node that this connection
	// is with may not know yet where the node that restores has subscribed.
	interestRetry   = 50 * time.Millisecond
	interestTimeout = 10 * time.Second

	streamExists jetstream.ErrorCode = 10130 // the server's code
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
	to, err := t.begin(ctx, name, request)
	if err != nil {
		return err
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
		if err := t.ask(ctx, to, part[:n], requestTimeout, &taken); err != nil {
			return err
		}
		if taken.IsError() {
			return asJetStream(taken.ToError())
		}
		sent += uint64(n)
		t.Progress(name, sent, uint64(info.Size()))
	}
	var created api.JSApiStreamCreateResponse
	if err := t.ask(ctx, to, nil, time.Hour, &created); err != nil { // it takes as long as it needs
		return err
	}
	if created.IsError() {
		return asJetStream(created.ToError())
	}
	return nil
}

// begin asks for the restore of a stream and returns the subject to send it to. A node that has just started may
// count as offline for a moment: as long as it does there are too few for the copies. A restore that was interrupted
// may end after the streams to replace were removed: then its stream is removed too.
func (t *transfer) begin(ctx context.Context, name string, request []byte) (string, error) {
	return backoff.Retry(ctx, func() (string, error) {
		var begun api.JSApiStreamRestoreResponse
		if err := t.ask(ctx, fmt.Sprintf(api.JSApiStreamRestoreT, name), request, requestTimeout, &begun); err != nil {
			return "", backoff.Permanent(err)
		}
		if !begun.IsError() {
			return begun.DeliverSubject, nil
		}
		err := asJetStream(begun.ToError())
		var refused *jetstream.APIError
		switch {
		case !errors.As(err, &refused):
		case refused.ErrorCode == bus.CodeNoPeers:
			return "", err
		case refused.ErrorCode == streamExists && t.replace:
			_ = t.js.DeleteStream(ctx, name) // if it fails, so does the next try
			return "", err
		}
		return "", backoff.Permanent(err)
	}, backoff.WithMaxElapsedTime(bus.PeersTimeout))
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
