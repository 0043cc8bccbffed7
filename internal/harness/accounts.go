package harness

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/roomclient"
	"github.com/roombus/roombus/roomsvc"
	"github.com/roombus/roombus/subjects"
)

// JSDomain is the JetStream domain under which the accounts of apps reach the streams.
const JSDomain = "roombus"

// Accounts is a NATS server in operator mode, with a room service in an account of its own, an account of
// clients and one for each app. The account of the room service has JetStream.
type Accounts struct {
	*Bus         // JS and NC are in the account of the room service, Client in that of the clients
	Log  *Output // of the room service
	url  string
	all  map[string]*account
}

// account is a NATS account.
type account struct {
	key    nkeys.KeyPair
	claims *jwt.AccountClaims
}

// The accounts beside those of apps, which have the ids of their apps.
const (
	roomsAccount   = "ROOMS"
	clientsAccount = "CLIENTS"
)

// NewAccounts starts the server and the room service.
func NewAccounts(t testing.TB, cfg roomsvc.Config, apps ...string) *Accounts {
	t.Helper()
	a := &Accounts{all: make(map[string]*account)}
	a.exportRooms(t)
	a.add(t, clientsAccount)
	a.imports(clientsAccount, jwt.Service, subjects.Room("*"))
	for _, app := range apps {
		a.add(t, app)
		a.importForApp(app)
	}
	a.start(t)
	a.Bus = &Bus{NC: a.Connect(t, roomsAccount), Client: roomclient.New(a.Connect(t, clientsAccount), roomclient.Config{})}
	var err error
	a.JS, err = jetstream.New(a.NC)
	require.NoError(t, err)
	a.Log = NewOutput()
	cfg.Logger = slog.New(slog.NewTextHandler(a.Log, nil))
	a.Service = Serve(t, a.Connect(t, roomsAccount), cfg)
	return a
}

// Connect connects as a user of the account, without restrictions within the account.
func (a *Accounts) Connect(t testing.TB, name string) *nats.Conn {
	t.Helper()
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	id, err := user.PublicKey()
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	token, err := jwt.NewUserClaims(id).Encode(a.all[name].key)
	require.NoError(t, err)
	nc, err := nats.Connect(a.url, nats.UserJWTAndSeed(token, string(seed)), nats.MaxReconnects(-1), nats.ErrorHandler(nil))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// ID returns the public key of an account.
func (a *Accounts) ID(name string) string { return a.all[name].claims.Subject }

func (a *Accounts) add(t testing.TB, name string) *account {
	t.Helper()
	key, err := nkeys.CreateAccount()
	require.NoError(t, err)
	id, err := key.PublicKey()
	require.NoError(t, err)
	a.all[name] = &account{key: key, claims: jwt.NewAccountClaims(id)}
	a.all[name].claims.Name = name
	return a.all[name]
}

// exportRooms adds the account of the room service, with what it exports.
func (a *Accounts) exportRooms(t testing.TB) {
	t.Helper()
	rooms := a.add(t, roomsAccount).claims
	rooms.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	export := func(as jwt.ExportType, replies jwt.ResponseType, all ...string) {
		for _, subject := range all {
			rooms.Exports.Add(&jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: as, ResponseType: replies})
		}
	}
	export(jwt.Stream, "", "room.pre.*.*", "room.pre.*.*.retry", "$SRV.>")
	export(jwt.Service, jwt.ResponseTypeSingleton, subjects.VerdictInbox+".>", subjects.Room("*"), subjects.App("*"),
		subjects.OfApp(subjects.Register, "*"), subjects.OfApp(subjects.Info, "*"), subjects.DeadLike("", "", ""))
	for _, stream := range []string{subjects.Events, subjects.Replays} {
		export(jwt.Service, jwt.ResponseTypeSingleton, "$JS.API.CONSUMER.INFO."+stream+".*", "$JS.ACK."+stream+".*.>", "$JS.ACK.*.*."+stream+".*.>")
		export(jwt.Service, jwt.ResponseTypeStream, "$JS.API.CONSUMER.MSG.NEXT."+stream+".*")
	}
}

// importForApp gives an app what its workers need.
func (a *Accounts) importForApp(app string) {
	a.imports(app, jwt.Stream, "room.pre.*."+app, "room.pre.*."+app+".retry", "$SRV.*", "$SRV.*."+app, "$SRV.*."+app+".*")
	a.imports(app, jwt.Service, subjects.VerdictInboxOf(app)+".>", subjects.DeadLike(app, "", ""), subjects.Room(subjects.Get))
	a.importAs(app, subjects.OfApp(subjects.Register, app), subjects.App(subjects.Register))
	a.importAs(app, subjects.OfApp(subjects.Info, app), subjects.App(subjects.Info))
	for _, stream := range []string{subjects.Events, subjects.Replays} {
		for _, request := range []string{"CONSUMER.INFO.", "CONSUMER.MSG.NEXT."} {
			a.importAs(app, "$JS.API."+request+stream+"."+app, "$JS."+JSDomain+".API."+request+stream+"."+app)
		}
		a.imports(app, jwt.Service, "$JS.ACK."+stream+"."+app+".>", "$JS.ACK.*.*."+stream+"."+app+".>")
	}
}

func (a *Accounts) imports(name string, as jwt.ExportType, all ...string) {
	for _, subject := range all {
		a.all[name].claims.Imports.Add(&jwt.Import{Name: subject, Subject: jwt.Subject(subject), Account: a.ID(roomsAccount), Type: as})
	}
}

// importAs imports a service under another subject.
func (a *Accounts) importAs(name, subject, local string) {
	a.all[name].claims.Imports.Add(&jwt.Import{
		Name: subject, Subject: jwt.Subject(subject), LocalSubject: jwt.RenamingSubject(local), Account: a.ID(roomsAccount), Type: jwt.Service,
	})
}

// start starts the server with all accounts.
func (a *Accounts) start(t testing.TB) {
	t.Helper()
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	id, err := operator.PublicKey()
	require.NoError(t, err)
	claims := jwt.NewOperatorClaims(id)
	system := a.add(t, "SYS").claims
	claims.SystemAccount = system.Subject
	_, err = claims.Encode(operator)
	require.NoError(t, err)
	resolver := &server.MemAccResolver{}
	for _, one := range a.all {
		token, err := one.claims.Encode(operator)
		require.NoError(t, err)
		require.NoError(t, resolver.Store(one.claims.Subject, token))
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, JetStream: true, StoreDir: filepath.Join(t.TempDir(), "js"),
		TrustedOperators: []*jwt.OperatorClaims{claims}, SystemAccount: claims.SystemAccount, AccountResolver: resolver,
	})
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(time.Minute))
	a.url = s.ClientURL()
}
