package bench

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
)

func TestLoad_LateReplyIsNotTakenForTheNext(t *testing.T) {
	t.Parallel()
	nc := harness.Connect(t, harness.NewServer(t))
	asked := make(chan *nats.Msg, 2)
	_, err := nc.ChanSubscribe(roombus.subject(Join), asked)
	require.NoError(t, err)
	c, err := newClient(nc, roombus)
	require.NoError(t, err)
	t.Cleanup(c.close)

	c.patience = time.Millisecond
	c.send(t.Context(), joining("r", "late"))
	require.Equal(t, "no answer within 1ms", c.failure)
	late := &nats.Msg{Header: nats.Header{micro.ErrorHeader: {"for somebody else"}}}
	require.NoError(t, (<-asked).RespondMsg(late))
	require.NoError(t, nc.Flush()) // the reply has arrived now

	c.patience = replyTimeout
	next := joining("r", "next")
	go func() { _ = (<-asked).Respond(nil) }()
	c.send(t.Context(), next)
	assert.Equal(t, []request{next}, c.done)
	assert.Equal(t, 1, c.failed)
}
