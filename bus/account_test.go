package bus_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
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

// The server replaces the account that a client of another account claims, but not if its headers have bare line
// feeds. If this changes, Account may prove more than it does.
func TestAccount_ForgedAcrossAccounts(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(conf, []byte(`listen: "127.0.0.1:-1", accounts {
		ROOMS { users: [{user: rooms, password: p}], exports: [{service: "in"}] }
		EVIL { users: [{user: evil, password: p}], imports: [{service: {account: ROOMS, subject: "in"}}] }
	}`), 0o600))
	opts, err := server.ProcessConfigFile(conf)
	require.NoError(t, err)
	opts.NoSigs = true
	s, err := server.NewServer(opts)
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(patience))
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("rooms", "p"))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	in, err := nc.SubscribeSync("in")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	evil, err := net.Dial("tcp", s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = evil.Close() })
	_, err = evil.Write([]byte(`CONNECT {"user":"evil","pass":"p","headers":true,"verbose":false}` + "\r\n"))
	require.NoError(t, err)

	const forged = requestInfo + `: {"acc":"GUARD"}`
	for headers, want := range map[string]string{
		"X: 1":                         "EVIL",
		forged:                         "EVIL",
		forged + "\r\n" + forged:       "EVIL",
		"X: 1\n" + forged:              bus.UnknownAccount,
		"X: 1\n\nY: 2":                 "", // it ends the headers
		"X: 1\n" + forged + "\n\nY: 2": "GUARD",
	} {
		h := "NATS/1.0\r\n" + headers + "\r\n\r\n"
		_, err := fmt.Fprintf(evil, "HPUB in %d %d\r\n%s\r\n", len(h), len(h), h)
		require.NoError(t, err)
		msg, err := in.NextMsg(patience)
		require.NoError(t, err)
		assert.Equal(t, want, bus.Account(msg.Header), "%q", headers)
	}
}

// A reply in the inbox of a third account is ignored, and the reply of a worker after it counts.
func TestRequester_IgnoresReplyInAnotherInbox(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	r := newRequester(t, nc)
	require.NoError(t, r.Export("_INBOX_far"))
	listen(t, nc, "ask", func(m *nats.Msg) {
		assert.Regexp(t, `^_INBOX_far\.guard\.\w+\.\w+$`, m.Reply)
		assert.NoError(t, nc.Publish(strings.Replace(m.Reply, "guard", "evil", 1), []byte("evil")))
		assert.NoError(t, m.Respond([]byte("guard")))
	})
	q := newRequest("ask", "", time.Minute)
	q.Exported = "guard"
	var foreign []string
	q.Foreign = func(by string) { foreign = append(foreign, by) }
	got := replies(t.Context(), r, q, newRequest("nowhere", "", time.Minute))
	require.NoError(t, got[0].Err)
	assert.Equal(t, "guard", string(got[0].Msg.Data))
	assert.Equal(t, []string{"evil"}, foreign)
	require.ErrorIs(t, got[1].Err, bus.ErrNoResponders)
	assert.Equal(t, uint64(1), r.Foreign())
	assert.Zero(t, r.Surplus())
}
