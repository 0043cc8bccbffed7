package operations_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
)

// secured is a server that requires authentication, with the settings to connect to it.
type secured struct {
	config string   // of nats-server, besides address and JetStream
	flags  []string // that are accepted
	wrong  []string // that are refused
	env    []string // the same as flags, in the environment
}

// serve connects with every kind of credentials that the nats CLI knows, from flags and from the
// environment. Wrong credentials give an error of one line.
func TestServe_Credentials(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]func(*testing.T, string) secured{
		"user": func(*testing.T, string) secured {
			return secured{
				config: `authorization { user: u, password: p }`,
				flags:  []string{"--user", "u", "--password", "p"}, wrong: []string{"--user", "u", "--password", "q"},
				env: []string{"NATS_USER=u", "NATS_PASSWORD=p"},
			}
		},
		"token": func(*testing.T, string) secured {
			return secured{
				config: `authorization { token: t }`, flags: []string{"--token", "t"}, wrong: []string{"--token", "s"},
				env: []string{"NATS_USER=t"}, // the nats CLI's variable
			}
		},
		"nkey":  withNKey,
		"creds": withCreds,
		"tls":   withTLS,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := secure(t, dir)
			config := filepath.Join(dir, "nats.conf")
			write(t, config, fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\n%s\n", filepath.Join(dir, "js"), s.config))
			server := harness.Start(t, harness.Tool(t, harness.NATSServer), "--config", config)
			url := "nats://" + server.Stderr.Await(t, `Listening for client connections on (\S+)`)[1]
			server.Stderr.Await(t, "Server is ready")

			serves := func(args, env []string) {
				cmd := exec.Command(harness.Binary(t), append([]string{"serve", "--nats", url}, args...)...)
				cmd.Env = harness.Env(t.TempDir(), env...)
				p := harness.StartCmd(t, cmd)
				p.Stderr.Await(t, "msg=serving")
				p.Signal(syscall.SIGTERM)
				assert.Zero(t, p.Wait())
			}
			serves(s.flags, nil)
			serves(nil, s.env)
			assert.NotEmpty(t, harness.WontServe(t, append([]string{"--nats", url}, s.wrong...)...))
		})
	}
}

// If the server and the settings disagree about TLS, the error names the flag to change.
func TestServe_TLSMistakeNamesTheFlag(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := withTLS(t, dir)
	config := filepath.Join(dir, "nats.conf")
	write(t, config, fmt.Sprintf("listen: \"127.0.0.1:-1\"\n%s\n", s.config))
	server := harness.Start(t, harness.Tool(t, harness.NATSServer), "--config", config)
	url := "nats://" + server.Stderr.Await(t, `Listening for client connections on (\S+)`)[1]
	server.Stderr.Await(t, "Server is ready")
	assert.Contains(t, harness.WontServe(t, "--nats", url), "name the authority's file with --tlsca")
	assert.Contains(t, harness.WontServe(t, append([]string{"--nats", strings.Replace(url, "127.0.0.1", "localhost", 1)}, s.flags...)...), "use a name or address in --nats that the server's certificate contains")
	assert.Contains(t, harness.WontServe(t, "--nats", natsServer(t, harness.NATSServer), "--tlsca", filepath.Join(dir, "ca.pem")), "the server has no TLS: leave out --tlsca")
}

// If the permissions of a user are too narrow, the error says so. It does not say that JetStream is
// missing.
func TestCLI_MissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "nats.conf")
	write(t, config, fmt.Sprintf(`listen: "127.0.0.1:-1"
jetstream { store_dir: %q }
authorization { users: [ { user: u, password: p, permissions: { publish: ["nothing"], subscribe: ["_INBOX.>"] } } ] }`, t.TempDir()))
	server := harness.Start(t, harness.Tool(t, harness.NATSServer), "--config", config)
	url := server.Stderr.Await(t, `Listening for client connections on (\S+)`)[1]
	server.Stderr.Await(t, "Server is ready")
	c := harness.NewCLI(t, "nats://u:p@"+url)
	for permission, command := range map[string][]string{"$JS.API": {"events"}, "room.svc.list": {"room", "ls", "--timeout", "1s"}} {
		said := c.Fails(1, command...)
		assert.Regexp(t, `(?i)permissions violation.* "`+regexp.QuoteMeta(permission), said)
		assert.Contains(t, said, "give the NATS user of this connection permission for that subject")
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

func withNKey(t *testing.T, dir string) secured {
	t.Helper()
	seedFile := func(name string) (file, public string) {
		user, err := nkeys.CreateUser()
		require.NoError(t, err)
		seed, err := user.Seed()
		require.NoError(t, err)
		public, err = user.PublicKey()
		require.NoError(t, err)
		file = filepath.Join(dir, name)
		write(t, file, string(seed))
		return file, public
	}
	file, public := seedFile("user.nk")
	other, _ := seedFile("other.nk")
	return secured{
		config: fmt.Sprintf(`authorization { users: [ { nkey: %s } ] }`, public),
		flags:  []string{"--nkey", file}, wrong: []string{"--nkey", other}, env: []string{"NATS_NKEY=" + file},
	}
}

// withCreds is a server in operator mode, with one account that has JetStream.
func withCreds(t *testing.T, dir string) secured {
	t.Helper()
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	operatorID, err := operator.PublicKey()
	require.NoError(t, err)
	account := func(name string, storage int64) (nkeys.KeyPair, string, string) {
		key, err := nkeys.CreateAccount()
		require.NoError(t, err)
		id, err := key.PublicKey()
		require.NoError(t, err)
		claims := jwt.NewAccountClaims(id)
		claims.Name = name
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: storage, MemoryStorage: storage, Streams: -1, Consumer: -1}
		token, err := claims.Encode(operator)
		require.NoError(t, err)
		return key, id, token
	}
	rooms, roomsID, roomsToken := account("rooms", -1)
	bare, bareID, bareToken := account("bare", 0)
	_, systemID, systemToken := account("system", 0)
	operatorClaims := jwt.NewOperatorClaims(operatorID)
	operatorClaims.SystemAccount = systemID
	operatorToken, err := operatorClaims.Encode(operator)
	require.NoError(t, err)

	creds := func(name string, of nkeys.KeyPair) string {
		key, err := nkeys.CreateUser()
		require.NoError(t, err)
		id, err := key.PublicKey()
		require.NoError(t, err)
		token, err := jwt.NewUserClaims(id).Encode(of)
		require.NoError(t, err)
		seed, err := key.Seed()
		require.NoError(t, err)
		text, err := jwt.FormatUserConfig(token, seed)
		require.NoError(t, err)
		file := filepath.Join(dir, name)
		write(t, file, string(text))
		return file
	}
	in, out := creds("in.creds", rooms), creds("out.creds", bare)
	return secured{
		config: fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload { %s: %s, %s: %s, %s: %s }",
			operatorToken, systemID, roomsID, roomsToken, bareID, bareToken, systemID, systemToken),
		flags: []string{"--creds", in}, wrong: []string{"--creds", out}, env: []string{"NATS_CREDS=" + in},
	}
}

// withTLS is a server that shows a certificate and requires one from clients.
func withTLS(t *testing.T, dir string) secured {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, name) }
	template := func(serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: serial == 1,
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	issue := func(name string, cert, parent *x509.Certificate, signer *ecdsa.PrivateKey) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		if signer == nil {
			signer = key
		}
		der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
		require.NoError(t, err)
		private, err := x509.MarshalECPrivateKey(key)
		require.NoError(t, err)
		write(t, path(name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		write(t, path(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})))
		return key
	}
	ca := template(1)
	caKey := issue("ca", ca, ca, nil)
	issue("server", template(2), ca, caKey)
	issue("client", template(3), ca, caKey)
	return secured{
		config: fmt.Sprintf(`tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }`, path("server.pem"), path("server.key"), path("ca.pem")),
		flags:  []string{"--tlsca", path("ca.pem"), "--tlscert", path("client.pem"), "--tlskey", path("client.key")},
		wrong:  []string{"--tlsca", path("ca.pem")},
		env:    []string{"NATS_CA=" + path("ca.pem"), "NATS_CERT=" + path("client.pem"), "NATS_KEY=" + path("client.key")},
	}
}
