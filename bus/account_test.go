package bus_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

const requestInfo = "Nats-Request-Info"

func TestAccount(t *testing.T) {
	t.Parallel()
	for account, h := range map[string]nats.Header{
		"":                 {"Other": {"x"}},
		"GUARD":            {requestInfo: {`{"acc":"GUARD","rtt":12}`}},
		bus.UnknownAccount: {requestInfo: {`{"acc":"GUARD"}`, `{"acc":"OTHER"}`}},
	} {
		assert.Equal(t, account, bus.Account(h))
	}
	for _, value := range []string{"", "GUARD", `{}`, `{"acc":1}`} {
		assert.Equal(t, bus.UnknownAccount, bus.Account(nats.Header{requestInfo: {value}}), value)
	}
}

// A reply from a third account is ignored, and the reply of a worker after it counts.
func TestRequester_IgnoresReplyOfThirdAccount(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	r := newRequester(t, nc)
	require.NoError(t, r.Export("_INBOX_far"))
	listen(t, nc, "ask", func(m *nats.Msg) {
		assert.Contains(t, m.Reply, "_INBOX_far.")
		for _, from := range []string{"other", "guard"} {
			reply := &nats.Msg{Subject: m.Reply, Header: nats.Header{requestInfo: {`{"acc":"` + from + `"}`}}, Data: []byte(from)}
			assert.NoError(t, nc.PublishMsg(reply))
		}
	})
	q := newRequest("ask", "", time.Minute)
	q.Account = "guard"
	var foreign []string
	q.Foreign = func(m *nats.Msg) { foreign = append(foreign, bus.Account(m.Header)) }
	got := replies(t.Context(), r, q)[0]
	require.NoError(t, got.Err)
	assert.Equal(t, "guard", string(got.Msg.Data))
	assert.Equal(t, []string{"other"}, foreign)
	assert.Equal(t, uint64(1), r.Foreign())
	assert.Zero(t, r.Surplus())
}
