package operations_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
)

// A mistake in the configuration is reported in one line with exit status 2, before anything
// starts: serve creates no folder and connects to no server, which would be status 5.
func TestServe_MistakeInConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("text"), "not what it should be")
	withTLS(t, dir)   // client.pem, client.key, server.key, ca.pem
	withCreds(t, dir) // in.creds
	context := path("config/nats/context")
	require.NoError(t, os.MkdirAll(context, 0o700))
	write(t, filepath.Join(context, "half.json"), `{"url":"nats://127.0.0.1:1","cert":"`+path("client.pem")+`"}`)
	write(t, filepath.Join(context, "user.json"), `{"url":"nats://127.0.0.1:1","user":"u","password":"p"}`)
	elsewhere := []string{"--nats", "nats://127.0.0.1:1"}

	for name, c := range map[string]struct {
		args []string
		at   []string // the server, if it is not the embedded one
		env  []string
		says []string
	}{
		"listen without a port":               {args: []string{"--listen", "nowhere"}, says: []string{`--listen must be host:port, such as 127.0.0.1:4222, not "nowhere"`}},
		"listen on no port":                   {args: []string{"--listen", "127.0.0.1:99999"}, says: []string{`--listen must be host:port`}},
		"listen empty":                        {args: []string{"--listen", ""}, says: []string{`"--listen" flag: it is empty`}},
		"store folder empty":                  {args: []string{"--store-dir", ""}, says: []string{`"--store-dir" flag: it is empty`}},
		"store folder is a file":              {args: []string{"--store-dir", path("text")}, says: []string{"--store-dir must be a folder, and " + path("text") + " is a file"}},
		"sync unknown":                        {args: []string{"--sync", "never"}, says: []string{`--sync must be always or interval, not "never"`}},
		"copies even":                         {args: []string{"--stream-replicas", "2"}, at: elsewhere, says: []string{"--stream-replicas must be 1, 3 or 5, not 2"}},
		"copies without a cluster":            {args: []string{"--stream-replicas", "3"}, says: []string{"--stream-replicas 3 needs a NATS cluster: give its address with --nats"}},
		"budget zero":                         {args: []string{"--budget", "0s"}, says: []string{"--budget must be 100ms to 2m0s, not 0s"}},
		"budget too short for any app":        {args: []string{"--budget", "99ms"}, says: []string{"--budget must be"}},
		"budget longer than an id is known":   {args: []string{"--budget", "121s"}, says: []string{"--budget must be 100ms to 2m0s, not 2m1s"}},
		"budget not a duration":               {args: []string{"--budget", "5"}, says: []string{`"--budget" flag`}},
		"requests zero":                       {args: []string{"--max-in-flight", "0"}, says: []string{"--max-in-flight must be 4 or more"}},
		"requests too few for one room":       {args: []string{"--max-in-flight", "3"}, says: []string{"as one room may have a quarter of it, not 3"}},
		"breaker failures negative":           {args: []string{"--breaker-failures", "-1"}, says: []string{"--breaker-failures must be more than 0, not -1"}},
		"breaker pause zero":                  {args: []string{"--breaker-pause", "0s"}, says: []string{"--breaker-pause must be more than 0, not 0s"}},
		"snapshot never":                      {args: []string{"--snapshot-every", "0"}, says: []string{"--snapshot-every must be more than 0, or -1"}},
		"snapshot negative":                   {args: []string{"--snapshot-every", "-2"}, says: []string{"for only when the service ends, not -2"}},
		"retention negative":                  {args: []string{"--retain-deleted", "-1h"}, says: []string{`"--retain-deleted" flag`}},
		"log level unknown":                   {args: []string{"--log-level", "loud"}, says: []string{`"--log-level" flag`}},
		"log of another environment":          {env: []string{"ROOMBUS_LOG=xml", "ROOMBUS_LOG_LEVEL=loud"}, says: []string{`ROOMBUS_LOG must be text or json, not "xml"; ROOMBUS_LOG_LEVEL must be debug, info, warn or error, not "loud"`}},
		"reply prefix of subjects that mean":  {args: []string{"--reply-prefix", "room"}, says: []string{`--reply-prefix must begin with an underscore`, `not "room"`}},
		"reply prefix with a dot at its end":  {args: []string{"--reply-prefix", "_APP."}, says: []string{`no dot at its end, not "_APP."`}},
		"reply prefix with a wildcard":        {args: []string{"--reply-prefix", "_APP.*"}, says: []string{`no wildcards`}},
		"no provision with the server inside": {args: []string{"--no-provision"}, says: []string{"--no-provision needs --nats"}},
		"memory limit below the service's":    {env: []string{"GOMEMLIMIT=20MiB"}, says: []string{"GOMEMLIMIT must be 64 MiB or more, not 20MiB"}},

		"server inside and listen":      {args: []string{"--listen", "127.0.0.1:0"}, at: elsewhere, says: []string{"--listen is about the embedded NATS server"}},
		"server inside and its folder":  {args: []string{"--store-dir", path("x")}, at: elsewhere, says: []string{"--store-dir is about the embedded NATS server"}},
		"listen for everyone":           {args: []string{"--listen", "0.0.0.0:0"}, says: []string{"give --auth DIR", "or give --insecure"}},
		"listen on all addresses":       {args: []string{"--listen", ":0"}, says: []string{"give --auth DIR"}},
		"auth without a folder":         {args: []string{"--auth", path("none")}, says: []string{"--auth must be a folder of roombus auth init"}},
		"auth with a server elsewhere":  {args: []string{"--auth", path("none")}, at: elsewhere, says: []string{"--auth is about the embedded NATS server"}},
		"server inside and sync":        {args: []string{"--sync", "always"}, env: []string{"NATS_URL=nats://127.0.0.1:1"}, says: []string{"--sync is about the embedded NATS server"}},
		"server empty":                  {args: []string{"--nats", ""}, says: []string{`"--nats" flag: it is empty`}},
		"credentials without a server":  {args: []string{"--creds", path("in.creds")}, says: []string{"--creds: that has no effect with the embedded NATS server; give the address of another server with --nats"}},
		"a variable without a server":   {env: []string{"NATS_USER=u", "NATS_CA=" + path("ca.pem")}, says: []string{"NATS_USER, NATS_CA: that has no effect"}},
		"server not a URL":              {at: []string{"--nats", "nats://u:secret@host:port"}, says: []string{"a server of --nats (NATS_URL) is not a URL"}},
		"server of another scheme":      {at: []string{"--nats", "nats://a, http://u:secret@b"}, says: []string{"the server http://u:xxxxx@b of --nats (NATS_URL) must begin with nats, tls, ws or wss"}},
		"server without a host":         {at: []string{"--nats", "nats://:4222"}, says: []string{"has no host"}},
		"server at no port":             {at: []string{"--nats", "127.0.0.1:70000"}, says: []string{"the port of the server nats://127.0.0.1:70000 of --nats (NATS_URL) must be 1 to 65535"}},
		"certificate without its key":   {args: []string{"--tlscert", path("client.pem")}, at: elsewhere, says: []string{"--tlscert (NATS_CERT) is given without --tlskey (NATS_KEY): give both or neither"}},
		"key without its certificate":   {env: []string{"NATS_KEY=" + path("client.key")}, at: elsewhere, says: []string{"--tlskey (NATS_KEY) is given without --tlscert (NATS_CERT)"}},
		"certificate with another key":  {args: []string{"--tlscert", path("client.pem"), "--tlskey", path("server.key")}, at: elsewhere, says: []string{"the file of --tlscert (NATS_CERT) and --tlskey (NATS_KEY) cannot be used", "private key does not match"}},
		"certificate missing":           {args: []string{"--tlscert", path("none"), "--tlskey", path("client.key")}, at: elsewhere, says: []string{"no such file"}},
		"authority missing":             {args: []string{"--tlsca", path("none")}, at: elsewhere, says: []string{"the file of --tlsca (NATS_CA) cannot be used", "no such file"}},
		"authority without certificate": {args: []string{"--tlsca", path("text")}, at: elsewhere, says: []string{"the file of --tlsca (NATS_CA) cannot be used", "failed to parse"}},
		"credentials missing":           {env: []string{"NATS_CREDS=" + path("none")}, at: elsewhere, says: []string{"the file of --creds (NATS_CREDS) cannot be used", "no such file"}},
		"credentials a folder":          {args: []string{"--creds", dir}, at: elsewhere, says: []string{"the file of --creds (NATS_CREDS) cannot be used", "is a directory"}},
		"credentials without a key":     {args: []string{"--creds", path("text")}, at: elsewhere, says: []string{"the file of --creds (NATS_CREDS) cannot be used"}},
		"seed missing":                  {args: []string{"--nkey", path("none")}, at: elsewhere, says: []string{"the file of --nkey (NATS_NKEY) cannot be used", "no such file"}},
		"seed that is none":             {args: []string{"--nkey", path("text")}, at: elsewhere, says: []string{"the file of --nkey (NATS_NKEY) cannot be used"}},
		"password without a user":       {args: []string{"--password", "p"}, at: elsewhere, says: []string{"--password (NATS_PASSWORD) is given without --user (NATS_USER): give both or neither"}},
		"user and token":                {args: []string{"--user", "u", "--token", "t"}, at: elsewhere, says: []string{"NATS credentials are given in 2 ways: --user (NATS_USER), --token (NATS_TOKEN, or --user without --password): keep one"}},
		"credentials beside variables":  {args: []string{"--creds", path("in.creds")}, env: []string{"NATS_USER=u", "NATS_PASSWORD=p"}, at: elsewhere, says: []string{"in 2 ways: --user (NATS_USER), --creds (NATS_CREDS): keep one"}},
		"credentials beside a context":  {args: []string{"--creds", path("in.creds")}, at: []string{"--context", "user"}, says: []string{"in 2 ways", `the settings of context "user" count too`}},
		"domain of two tokens":          {args: []string{"--js-domain", "a.b"}, at: elsewhere, says: []string{`--js-domain (NATS_JS_DOMAIN) must be one token of a subject`}},
		"inbox prefix with a wildcard":  {args: []string{"--inbox-prefix", "_I.>"}, at: elsewhere, says: []string{`--inbox-prefix (NATS_INBOX_PREFIX) must be a subject without wildcards`}},
		"context unknown":               {at: []string{"--context", "none"}, says: []string{`NATS context "none"`, "nats context ls lists the contexts"}},
		"context of half a pair":        {at: []string{"--context", "half"}, says: []string{"--tlscert (NATS_CERT) is given without --tlskey", `the settings of context "half" count too`}},

		"several with the server inside": {
			args: []string{"--listen", "nowhere", "--stream-replicas", "4", "--sync", "never", "--budget", "1h", "--snapshot-every", "0", "--token", "t"},
			says: []string{"--sync must", "--stream-replicas must", "--token: that has no effect", "--budget must", "--snapshot-every must", "--listen must"},
		},
		"several with a server elsewhere": {
			args: []string{"--listen", "127.0.0.1:0", "--tlscert", "x", "--password", "p", "--creds", path("none"), "--nkey", path("text"), "--max-in-flight", "1"},
			at:   elsewhere,
			says: []string{"--listen is", "--tlscert (NATS_CERT) is", "--password (NATS_PASSWORD) is", "file of --creds", "file of --nkey", "given in 2 ways", "--max-in-flight must"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			cmd := exec.Command(harness.Binary(t), append(append([]string{"serve"}, c.at...), c.args...)...)
			cmd.Env = harness.Env(home, append(c.env, "XDG_CONFIG_HOME="+path("config"))...)
			p := harness.StartCmd(t, cmd)
			assert.Equal(t, 2, p.Wait())
			assert.Empty(t, p.Stdout.String())
			said := p.Stderr.String()
			assert.Regexp(t, `^roombus: [^\n]+ \(see roombus serve --help\)\n$`, said)
			for _, part := range c.says {
				assert.Contains(t, said, part)
			}
			assert.NotContains(t, said, "secret")
			left, err := os.ReadDir(home)
			require.NoError(t, err)
			assert.Empty(t, left, "nothing is started")
		})
	}
}

// The other commands refuse incomplete settings too, before they connect.
func TestCLI_IncompleteSettingsAreRefused(t *testing.T) {
	t.Parallel()
	c := harness.NewCLI(t, "nats://127.0.0.1:1")
	for _, command := range [][]string{{"room", "ls"}, {"events"}, {"app", "ls"}, {"bench"}} {
		assert.Contains(t, c.Fails(2, append(command, "--tlscert", "client.pem")...), "--tlscert (NATS_CERT) is given without --tlskey (NATS_KEY)")
		assert.Contains(t, c.Fails(2, append(command, "--nats", "")...), "it is empty")
	}
}
