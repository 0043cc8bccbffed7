package bus_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

// saveContext saves a context in the folder of the nats CLI.
func saveContext(t *testing.T, name, content string) {
	t.Helper()
	dir := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "nats", "context")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".json"), []byte(content), 0o600))
}

// optionsOf returns the options of a connection with the settings.
func optionsOf(t *testing.T, s bus.Settings) nats.Options {
	t.Helper()
	opts, err := s.Options()
	require.NoError(t, err)
	o := nats.GetDefaultOptions()
	for _, opt := range opts {
		require.NoError(t, opt(&o))
	}
	return o
}

func TestContext_GivesTheOptionsOfTheConnection(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	t.Setenv("SEEDS", home)
	pair, err := nkeys.CreateUser()
	require.NoError(t, err)
	key, err := pair.Seed()
	require.NoError(t, err)
	public, err := pair.PublicKey()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(home, "user.nk"), key, 0o600))

	saveContext(t, "user", `{"url":"nats://far:4222","user":"u","password":"p","inbox_prefix":"_INBOX_u","jetstream_domain":"roombus","tls_first":true,"color_scheme":"yellow"}`)
	o := optionsOf(t, bus.Settings{Context: "user"})
	assert.Equal(t, []any{"u", "p", "_INBOX_u", true}, []any{o.User, o.Password, o.InboxPrefix, o.TLSHandshakeFirst})
	domain, err := bus.Settings{Context: "user"}.Domain()
	require.NoError(t, err)
	assert.Equal(t, "roombus", domain)
	assert.Equal(t, "_I", optionsOf(t, bus.Settings{Context: "user", InboxPrefix: "_I"}).InboxPrefix, "a setting goes before the context")

	for _, file := range []string{"~/user.nk", "$SEEDS/user.nk", "file://" + home + "/user.nk"} {
		saveContext(t, "seed", `{"nkey":"`+file+`"}`)
		o = optionsOf(t, bus.Settings{Context: "seed"})
		assert.Equal(t, public, o.Nkey, file)
	}

	saveContext(t, "bearer", `{"user_jwt":"the jwt"}`)
	o = optionsOf(t, bus.Settings{Context: "bearer"})
	jwt, err := o.UserJWT()
	require.NoError(t, err)
	assert.Equal(t, "the jwt", jwt)
	_, err = o.SignatureCB(nil)
	require.NoError(t, err)
	saveContext(t, "bearer", `{"user_jwt":"the jwt","user_seed":"`+string(key)+`"}`)
	signature, err := optionsOf(t, bus.Settings{Context: "bearer"}).SignatureCB([]byte("nonce"))
	require.NoError(t, err)
	require.NoError(t, pair.Verify([]byte("nonce"), signature))
}

func TestContext_Refused(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for name, c := range map[string]struct{ content, says string }{
		"text":    {`url = far`, "not a context of the nats CLI"},
		"nsc":     {`{"nsc":"nsc://op/acc/user"}`, "it has nsc, which only the nats CLI supports: use a file of credentials"},
		"scheme":  {`{"creds":"op://vault/item"}`, "credentials by op://, which only the nats CLI reads: use a file"},
		"proxy":   {`{"socks_proxy":"socks5://p"}`, "it has socks_proxy"},
		"secret":  {`{"user":"u","password":"env://SECRET"}`, "its password is a reference, which only the nats CLI reads"},
		"windows": {`{"windows_cert_store":"user"}`, "it has windows_cert_store"},
	} {
		saveContext(t, name, c.content)
		err := bus.Settings{Context: name}.Check()
		var wrong *bus.SettingsError
		require.ErrorAs(t, err, &wrong, name)
		path := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "nats", "context", name+".json")
		assert.Contains(t, err.Error(), `NATS context "`+name+`": `+path+": ")
		assert.Equal(t, 1, strings.Count(err.Error(), path), err)
		assert.Contains(t, err.Error(), c.says)
	}
	assert.ErrorContains(t, bus.Settings{Context: "none"}.Check(), "nats context ls lists the contexts")
	assert.ErrorContains(t, bus.Settings{Context: "../nsc"}.Check(), "not a path")
}

func TestContext_UserWithoutPasswordBesideIt(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	saveContext(t, "far", `{"user":"u","password":"p"}`)
	saveContext(t, "open", `{"url":"nats://far:4222"}`)
	err := bus.Settings{Context: "far", User: "other"}.Check()
	require.EqualError(t, err, `--user (NATS_USER) is given without --password (NATS_PASSWORD), and NATS context "far" has a user of its own: `+
		`give the password too, or leave --user (NATS_USER) out`)
	o := optionsOf(t, bus.Settings{Context: "far", User: "other", Password: "q"})
	assert.Equal(t, []string{"other", "q", ""}, []string{o.User, o.Password, o.Token})
	assert.Equal(t, "other", optionsOf(t, bus.Settings{Context: "open", User: "other"}).Token)
}
