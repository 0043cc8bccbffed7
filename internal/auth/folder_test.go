package auth_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roombus/roombus/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newFolder(t *testing.T) *auth.Folder {
	t.Helper()
	f, changed, err := auth.Init(filepath.Join(t.TempDir(), "auth"))
	require.NoError(t, err)
	require.NotEmpty(t, changed)
	return f
}

func app(name string, may ...string) auth.Entry {
	return auth.Entry{Name: name, Kind: auth.KindApp, May: may, Limits: auth.AppLimits()}
}

func set(t *testing.T, f *auth.Folder, e auth.Entry) []string {
	t.Helper()
	changed, err := f.Set(e)
	require.NoError(t, err)
	return changed
}

func entry(t *testing.T, f *auth.Folder, name string) auth.Entry {
	t.Helper()
	e, err := f.Entry(name)
	require.NoError(t, err)
	return e
}

func user(t *testing.T, f *auth.Folder, name string) *jwt.UserClaims {
	t.Helper()
	creds, err := os.ReadFile(f.Creds(name))
	require.NoError(t, err)
	token, err := jwt.ParseDecoratedJWT(creds)
	require.NoError(t, err)
	claims, err := jwt.DecodeUserClaims(token)
	require.NoError(t, err)
	return claims
}

// account returns the claims of an entry's account.
func account(t *testing.T, f *auth.Folder, e auth.Entry) *jwt.AccountClaims {
	t.Helper()
	tokens, err := f.Tokens()
	require.NoError(t, err)
	claims, err := jwt.DecodeAccountClaims(tokens[e.Key])
	require.NoError(t, err)
	return claims
}

func TestInit_Repeated_ChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	before := contents(t, f)
	_, changed, err := auth.Init(f.Dir)
	require.NoError(t, err)
	assert.Empty(t, changed)
	assert.Equal(t, before, contents(t, f))
	problems, err := f.Check(time.Now())
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// contents are the files of the folder and their content. It also checks that they are secret.
func contents(t *testing.T, f *auth.Folder) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, filepath.WalkDir(f.Dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		if e.IsDir() {
			assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), path)
			return nil
		}
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), path)
		content, err := os.ReadFile(path)
		all[path] = string(content)
		return err
	}))
	return all
}

// Init gives an account of an older version the rights that are new, and keeps its credentials.
func TestInit_OlderAccount_GetsNewRights(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	before, creds := account(t, f, entry(t, f, "guard")), user(t, f, "guard")
	older := account(t, f, entry(t, f, "guard"))
	older.Imports = older.Imports[1:]
	seed, err := os.ReadFile(filepath.Join(f.Dir, "keys", "keys", "O", before.Issuer[1:3], before.Issuer+".nk"))
	require.NoError(t, err)
	key, err := nkeys.FromSeed(seed)
	require.NoError(t, err)
	token, err := older.Encode(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.Dir, "stores", "roombus", "accounts", "APP_guard", "APP_guard.jwt"), []byte(token), 0o600))

	_, changed, err := auth.Init(f.Dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"account APP_guard"}, changed)
	assert.Equal(t, before.Imports, account(t, f, entry(t, f, "guard")).Imports)
	assert.Equal(t, creds, user(t, f, "guard"))
}

func TestSet_WithoutOperatorKey(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	require.NoError(t, os.Remove(f.OperatorKeyFile()))
	assert.NotEmpty(t, set(t, f, app("guard")))
}

func TestSet_Repeated_ChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	assert.Len(t, set(t, f, app("guard", "join")), 2, "account and credentials")
	assert.Empty(t, set(t, f, app("guard", "join")))
	assert.Len(t, set(t, f, app("guard", "join", "get")), 1, "the account")
	assert.Equal(t, []string{"join", "get"}, entry(t, f, "guard").May)
	require.NoError(t, os.Remove(f.Creds("guard")))
	key := entry(t, f, "guard").Key
	assert.Len(t, set(t, f, app("guard", "join", "get")), 1, "lost credentials are written again")
	assert.Equal(t, key, entry(t, f, "guard").Key)
}

func TestSet_NameOfAnotherKind_IsTaken(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	for _, e := range []auth.Entry{app(auth.Rooms), app(auth.Clients), {Name: "guard", Kind: auth.KindClient}} {
		_, err := f.Set(e)
		assert.ErrorIs(t, err, auth.ErrNameTaken, e.Name)
	}
}

// An app imports subjects with its own id only.
func TestApp_ImportsItsOwnSubjects(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	imports := account(t, f, entry(t, f, "guard")).Imports
	require.NotEmpty(t, imports)
	for _, i := range imports {
		if i.Subject != "$SRV.*" {
			assert.Regexp(t, `\.guard(\.|$)`, i.Subject)
		}
	}
}

func TestRotate_RevokesTheOldCredentialsOnly(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	old := user(t, f, "guard")
	require.NoError(t, f.Rotate("guard", time.Now()))
	claims := account(t, f, entry(t, f, "guard"))
	assert.True(t, claims.Revocations.IsRevoked(old.Subject, time.Unix(old.IssuedAt, 0)))
	renewed := user(t, f, "guard")
	assert.False(t, claims.Revocations.IsRevoked(renewed.Subject, time.Unix(renewed.IssuedAt, 0)))
	assert.ErrorIs(t, f.Rotate("nothing", time.Now()), auth.ErrUnknownName)
}

func TestRevoke_RemovesRightsAndCredentials(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	old := user(t, f, "guard")
	for _, changed := range []bool{true, false} {
		did, err := f.Revoke("guard", time.Now())
		require.NoError(t, err)
		assert.Equal(t, changed, did)
	}
	e := entry(t, f, "guard")
	claims := account(t, f, e)
	assert.True(t, e.Revoked)
	assert.Empty(t, claims.Imports)
	assert.NoFileExists(t, f.Creds("guard"))
	assert.True(t, claims.Revocations.IsRevoked(old.Subject, time.Unix(old.IssuedAt, 0)))
	assert.True(t, claims.Revocations.IsRevoked("another", time.Now().Add(-2*time.Second)))

	_, _, err := auth.Init(f.Dir)
	require.NoError(t, err)
	assert.True(t, entry(t, f, "guard").Revoked, "init does not bring it back")
	set(t, f, app("guard"))
	renewed, claims := user(t, f, "guard"), account(t, f, e)
	assert.False(t, claims.Revocations.IsRevoked(renewed.Subject, time.Unix(renewed.IssuedAt, 0)), "in the same second")

	_, err = f.Revoke(auth.Rooms, time.Now())
	assert.ErrorIs(t, err, auth.ErrIndispensable)
}

func TestCheck_ReportsEachProblem(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	set(t, f, app("guard"))
	set(t, f, app("shared"))
	require.NoError(t, os.Remove(f.Creds("guard")))
	require.NoError(t, os.Chmod(f.Creds("shared"), 0o644))
	problems, err := f.Check(time.Now())
	require.NoError(t, err)
	require.Len(t, problems, 2)
	assert.Contains(t, problems[0], "shared.creds has mode 644")
	assert.Contains(t, problems[1], "roombus auth rotate guard")
}

func TestOpen_NoOperator(t *testing.T) {
	t.Parallel()
	_, err := auth.Open(t.TempDir())
	assert.ErrorIs(t, err, auth.ErrNoFolder)
}
