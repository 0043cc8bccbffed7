package harness

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/auth"
	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// JSDomain is the JetStream domain under which the accounts of apps reach the streams.
const JSDomain = auth.Domain

// Accounts is a NATS server with the accounts that roombus auth makes, one for each app, and a room service.
type Accounts struct {
	*Bus         // JS and NC are in the account of the room service, Client in that of the clients
	Log  *Output // of the room service

	folder *auth.Folder
}

// NewAccounts starts the server and the room service. The apps may send get about rooms.
func NewAccounts(t testing.TB, cfg roomsvc.Config, apps ...string) *Accounts {
	t.Helper()
	folder, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"))
	require.NoError(t, err)
	for _, app := range apps {
		_, err := folder.Set(auth.Entry{Name: app, Kind: auth.KindApp, May: []string{subjects.Get}, Limits: auth.AppLimits()})
		require.NoError(t, err)
	}
	operator, err := folder.Operator()
	require.NoError(t, err)
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Operator: operator})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)

	a := &Accounts{Bus: &Bus{Server: server}, Log: NewOutput(), folder: folder}
	a.NC, a.Client = a.Connect(t, auth.Rooms), roomclient.New(a.Connect(t, auth.Clients), roomclient.Config{})
	a.JS, err = jetstream.New(a.NC)
	require.NoError(t, err)
	cfg.Logger = slog.New(slog.NewTextHandler(a.Log, nil))
	a.Service = Serve(t, a.Connect(t, auth.Rooms), cfg)
	return a
}

// Connect connects with the credentials of an app, or of another name of roombus auth.
func (a *Accounts) Connect(t testing.TB, name string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(a.Server.URL(), nats.UserCredentials(a.folder.Creds(name)), nats.MaxReconnects(-1), nats.ErrorHandler(nil))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// ID returns the public key of an account.
func (a *Accounts) ID(t testing.TB, name string) string {
	t.Helper()
	e, err := a.folder.Entry(name)
	require.NoError(t, err)
	return e.Key
}
