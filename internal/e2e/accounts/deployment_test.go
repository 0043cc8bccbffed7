package accounts_test

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/auth"
	"github.com/roombus/roombus/internal/e2e/scene"
	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// deployment is a server that roombus auth secures.
type deployment struct {
	t      *testing.T
	folder *auth.Folder
	url    string
}

// as runs a command with the credentials of a name, and returns its exit status and output.
func (d *deployment) as(name string, args ...string) (status int, out string) {
	d.t.Helper()
	cmd := exec.Command(harness.Binary(d.t), args...)
	cmd.Env = harness.Env(d.t.TempDir(), "NATS_URL="+d.url, "NATS_JS_DOMAIN="+auth.Domain)
	if name != "" {
		cmd.Env = append(cmd.Env, "NATS_CREDS="+d.folder.Creds(name))
	}
	p := harness.StartCmd(d.t, cmd)
	status = p.Wait()
	return status, p.Stdout.String() + p.Stderr.String()
}

func (d *deployment) connect(name string) *nats.Conn {
	d.t.Helper()
	nc, err := nats.Connect(d.url, nats.UserCredentials(d.folder.Creds(name)), nats.NoReconnect())
	require.NoError(d.t, err)
	d.t.Cleanup(nc.Close)
	return nc
}

// auth runs a command of roombus auth, which must succeed.
func (d *deployment) auth(args ...string) string {
	d.t.Helper()
	status, out := d.as("", append([]string{"auth", "--dir", d.folder.Dir}, args...)...)
	require.Zero(d.t, status, out)
	return out
}

// A deployment is secured, an app is added while it runs, works, and is cut off.
func TestDeployment_Secured(t *testing.T) {
	t.Parallel()
	folder, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"))
	require.NoError(t, err)
	_, url := harness.ServeProcess(t, "--store-dir", t.TempDir(), "--auth", folder.Dir)
	d := &deployment{t: t, folder: folder, url: url}

	assert.Contains(t, d.auth("app", "guard"), "in force at "+url+": guard")
	guard := harness.Example(t, "guard", url, "NATS_CREDS="+folder.Creds("guard"), "NATS_JS_DOMAIN="+auth.Domain)
	guard.Stderr.Await(t, "msg=serving")

	_, err = nats.Connect(url)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	clients := d.connect(auth.Clients)
	b := &harness.Bus{NC: clients, Client: roomclient.New(clients, roomclient.Config{})}
	b.Create(t, "r")
	_, err = scene.Join(t, b, "alice")
	require.NoError(t, err)
	_, err = scene.Join(t, b, "mallory")
	assert.Equal(t, room.CodeUserNotAllowed, scene.ErrorOf(t, err).Code)
	for _, args := range [][]string{{"events"}, {"streams", "--check"}} {
		status, out := d.as(auth.Operators, args...)
		assert.Zero(t, status, out)
	}
	_, out := d.as(auth.Operators, "app", "ls")
	assert.Regexp(t, `guard .* enabled +1 `, out)

	closed := d.connect("guard").StatusChanged(nats.CLOSED)
	d.auth("revoke", "guard")
	<-closed
	assert.Contains(t, d.auth("check"), "no problem")
}

// The rooms of a deployment are kept when it is secured.
func TestDeployment_SecuredLater(t *testing.T) {
	t.Parallel()
	folder, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"))
	require.NoError(t, err)
	store := t.TempDir()
	p, url := harness.ServeProcess(t, "--store-dir", store)
	d := &deployment{t: t, folder: folder, url: url}
	harness.BusAt(t, url).Create(t, "r")
	status, out := d.as("", "auth", "migrate", "--dir", folder.Dir, "--store-dir", store)
	assert.Equal(t, 1, status)
	assert.Contains(t, out, "another server runs on this folder")
	p.Signal(syscall.SIGTERM)
	require.Zero(t, p.Wait())

	assert.Contains(t, harness.WontServe(t, "--listen", "127.0.0.1:0", "--store-dir", store, "--auth", folder.Dir), "roombus auth migrate")
	d.auth("migrate", "--store-dir", store)
	_, d.url = harness.ServeProcess(t, "--store-dir", store, "--auth", folder.Dir)
	_, err = roomclient.New(d.connect(auth.Clients), roomclient.Config{}).Get(t.Context(), "r")
	require.NoError(t, err)
}
