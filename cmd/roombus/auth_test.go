package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/internal/auth"
)

// authRun runs roombus auth on a folder.
type authRun struct {
	t   *testing.T
	dir string
}

func (a authRun) run(args ...string) (status int, stdout, stderr string) {
	a.t.Helper()
	var out, said bytes.Buffer
	status = Run(a.t.Context(), append([]string{"auth", "--dir", a.dir}, args...), strings.NewReader(""), &out, &said)
	return status, out.String(), said.String()
}

// result runs a command that must succeed, with --json.
func (a authRun) result(args ...string) authResult {
	a.t.Helper()
	status, stdout, stderr := a.run(append(args, "--json", "--offline")...)
	require.Zero(a.t, status, stderr)
	var r authResult
	require.NoError(a.t, json.Unmarshal([]byte(stdout), &r), stdout)
	assert.NotEmpty(a.t, r.Next, "it says how to go on")
	return r
}

func newAuthRun(t *testing.T) authRun {
	t.Helper()
	a := authRun{t: t, dir: filepath.Join(t.TempDir(), "auth")}
	a.result("init")
	return a
}

func (a authRun) entry(name string) auth.Entry {
	a.t.Helper()
	f, err := auth.Open(a.dir)
	require.NoError(a.t, err)
	e, err := f.Entry(name)
	require.NoError(a.t, err)
	return e
}

func TestAuth_RepeatedCommandChangesNothing(t *testing.T) {
	t.Parallel()
	a := newAuthRun(t)
	for _, args := range [][]string{{"app", "guard", "--may", "join,get", "--connections", "7"}, {"client", "web"}, {"revoke", "web"}} {
		assert.NotEmpty(t, a.result(args...).Changed, args)
		assert.Empty(t, a.result(args...).Changed, args)
	}
	assert.Empty(t, a.result("init").Changed)
}

// A flag that is not given keeps what the app has.
func TestAuth_App_FlagsChangeRightsAndLimits(t *testing.T) {
	t.Parallel()
	a := newAuthRun(t)
	a.result("app", "guard")
	assert.Empty(t, a.entry("guard").May, "an app may send no requests about rooms by default")
	assert.Equal(t, auth.AppLimits(), a.entry("guard").Limits)
	a.result("app", "guard", "--may", "join,get", "--payload", "1000")
	a.result("app", "guard", "--connections", "7")
	e := a.entry("guard")
	assert.Equal(t, []string{"join", "get"}, e.May)
	assert.Equal(t, auth.Limits{Connections: 7, Subscriptions: auth.AppLimits().Subscriptions, Payload: 1000}, e.Limits)
	a.result("app", "guard", "--may", "none")
	assert.Empty(t, a.entry("guard").May)
	a.result("client", "web")
	assert.Equal(t, auth.Requests(), a.entry("web").May)
}

func TestAuth_MistakesNameTheRemedy(t *testing.T) {
	t.Parallel()
	a := newAuthRun(t)
	a.result("app", "guard")
	a.result("revoke", "guard")
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"app", "a b"}, exitUsage, "NAME must be"},
		{[]string{"app", "x", "--may", "fly"}, exitUsage, `--may must list requests: create, `},
		{[]string{"app", "x", "--may", "none,join"}, exitUsage, `"none"`},
		{[]string{"app", "x", "--connections", "0"}, exitUsage, "roombus auth revoke x"},
		{[]string{"app", "clients"}, exitConflict, "choose another name"},
		{[]string{"client", "guard"}, exitConflict, "choose another name"},
		{[]string{"rotate", "nothing"}, exitNotFound, "roombus auth ls lists the names"},
		{[]string{"rotate", "guard"}, exitNotFound, "has no credentials"},
		{[]string{"revoke", "rooms"}, exitUsage, "roombus auth rotate"},
		{[]string{"push", "--offline"}, exitUsage, "--offline does not go with push"},
	} {
		status, stdout, stderr := a.run(c.args...)
		assert.Equal(t, c.status, status, c.args)
		assert.Contains(t, stderr, c.says)
		assert.Empty(t, stdout)
	}
	a.dir = t.TempDir()
	status, _, stderr := a.run("ls")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "make it with roombus auth init")
}

// A change that a named server does not get is an error, although the folder has it.
func TestAuth_NamedServerUnreachable_IsAnError(t *testing.T) {
	t.Parallel()
	a := newAuthRun(t)
	const nowhere = "nats://127.0.0.1:1"
	for _, args := range [][]string{{"app", "guard"}, {"rotate", "guard"}, {"revoke", "guard"}, {"push"}, {"check"}} {
		status, _, stderr := a.run(append(args, "--nats", nowhere)...)
		assert.Equal(t, exitUnavailable, status, args)
		assert.Contains(t, stderr, nowhere)
	}
	assert.True(t, a.entry("guard").Revoked)
}

func TestAuth_Check_ExitsWithAProblem(t *testing.T) {
	t.Parallel()
	a := newAuthRun(t)
	status, stdout, _ := a.run("check", "--offline")
	assert.Zero(t, status)
	assert.Contains(t, stdout, "no problem")
	require.NoError(t, os.Chmod(filepath.Join(a.dir, "creds"), 0o755))
	status, stdout, _ = a.run("check", "--offline")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, stdout, "problem: "+filepath.Join(a.dir, "creds"))
}

func TestAuth_SaveContext(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	a := newAuthRun(t)
	for range 2 {
		a.result("app", "guard", "--save-context", "guard", "--nats", "nats://10.0.0.1:4222")
	}
	settings := bus.Settings{Context: "guard"}
	require.NoError(t, settings.Check())
	domain, err := settings.Domain()
	require.NoError(t, err)
	assert.Equal(t, auth.Domain, domain)
	status, _, stderr := a.run("app", "other", "--save-context", "guard", "--offline")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, stderr, "choose another name")
}
