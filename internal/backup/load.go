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
	// interestRetry is the delay before a part that no node has received is sent again. In a
	// cluster, this connection's node may not know yet where the restoring node has subscribed.
	interestRetry   = 50 * time.Millisecond
	interestTimeout = 10 * time.Second

	streamExists jetstream.ErrorCode = 10130 // the server's code

	beginTimeout = 6 * time.Second // for the answer to a restore request
)

// load restores a stream from a folder. The client library's own function cannot be interrupted,
// and does not resend a part that no node has received.
func (t *transfer) load(ctx context.Context, name, dir string, d description) error {
	path, err := jsm.SnapshotDataPath(dir)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // the file was only read
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
	if err := t.ask(ctx, to, nil, time.Hour, &created); err != nil { // the server answers when the restore is done
		return err
	}
	if created.IsError() {
		return asJetStream(created.ToError())
	}
	return nil
}

// begin requests the restore of a stream and returns the subject for its parts. A node that has
// just started may count as offline for a moment, and then too few nodes are available for the
// copies. An interrupted restore may end after the existing streams were removed and leave its
// stream behind: that stream is removed too. Nodes that have just started may lose the answer to the request;
// the server ends a restore that gets no part for 5 s.
func (t *transfer) begin(ctx context.Context, name string, request []byte) (string, error) {
	started := time.Now()
	return backoff.Retry(ctx, func() (string, error) {
		var begun api.JSApiStreamRestoreResponse
		err := t.ask(ctx, fmt.Sprintf(api.JSApiStreamRestoreT, name), request, beginTimeout, &begun)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return "", err
		}
		if err != nil {
			return "", backoff.Permanent(err)
		}
		if !begun.IsError() {
			return begun.DeliverSubject, nil
		}
		err = asJetStream(begun.ToError())
		var refused *jetstream.APIError
		switch {
		case !errors.As(err, &refused):
		case bus.NoPeers(err) && time.Since(started) < bus.PeersTimeout:
			return "", err
		case refused.ErrorCode == streamExists && t.replace:
			if running := t.noServices(ctx); running != nil { // a service may have created the stream since
				return "", backoff.Permanent(running)
			}
			if t.js.DeleteStream(ctx, name) == nil { // otherwise the next attempt fails as well
				t.replaced = append(t.replaced, name)
			}
			return "", err
		}
		return "", backoff.Permanent(err)
	}, backoff.WithMaxElapsedTime(requestTimeout))
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
