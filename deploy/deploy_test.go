// Package deploy_test holds the files of this folder to each other and to the program. That
// the cluster works as configured here is seen by the end-to-end tests.
package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/internal/identity"
)

func TestMain(m *testing.M) { harness.Main(m) }

// drain is how long "roombus serve" may take to end.
const drain = 15 * time.Second

// compose is as much of a compose file as these tests look at.
type compose struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	Environment map[string]string
	Volumes     []string
	DependsOn   map[string]any `yaml:"depends_on"`
	StopGrace   time.Duration  `yaml:"stop_grace_period"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	var c compose
	require.NoError(t, yaml.Unmarshal(text, &c))
	return c
}

// split parts the NATS nodes from the room services.
func (c compose) split() (nodes, rooms map[string]service) {
	nodes, rooms = map[string]service{}, map[string]service{}
	for name, s := range c.Services {
		if s.Build.Dockerfile == "" {
			nodes[name] = s
		} else {
			rooms[name] = s
		}
	}
	return nodes, rooms
}

func TestComposeNamesFilesAndVolumesThatExist(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			source, _, ok := strings.Cut(v, ":")
			require.True(t, ok, "%s: %s", name, v)
			if strings.HasPrefix(source, ".") {
				assert.FileExists(t, source, name)
			} else {
				assert.Contains(t, c.Volumes, source, name)
			}
		}
		for other := range s.DependsOn {
			assert.Contains(t, c.Services, other, name)
		}
		if s.Build.Dockerfile != "" {
			assert.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile), name)
			assert.FileExists(t, filepath.Join(s.Build.Context, "go.mod"), name)
		}
	}
}

func TestComposeSetsWhatTheNodesTakeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("nats/node.conf")
	require.NoError(t, err)
	var variables []string
	for _, found := range regexp.MustCompile(`(?m)^[^#\n]*\$([A-Z_]+)`).FindAllSubmatch(config, -1) {
		variables = append(variables, string(found[1]))
	}
	require.NotEmpty(t, variables)
	slices.Sort(variables)

	nodes, _ := readCompose(t).split()
	require.Len(t, nodes, 3)
	stores := make(map[string]bool)
	for name, node := range nodes {
		assert.Equal(t, variables, slices.Sorted(maps.Keys(node.Environment)), name)
		assert.Equal(t, name, node.Environment["NODE_NAME"])
		assert.Contains(t, node.Environment["NODE_ROUTES"], "nats://"+name+":6222")
		i := slices.IndexFunc(node.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+node.Environment["NODE_STORE"]) })
		require.GreaterOrEqual(t, i, 0, "%s keeps its streams in a volume", name)
		stores[node.Volumes[i]] = true
	}
	assert.Len(t, stores, len(nodes), "each node has a volume of its own")
}

func TestComposeRunsRoombusWithFlagsThatItHas(t *testing.T) {
	t.Parallel()
	nodes, rooms := readCompose(t).split()
	require.Len(t, rooms, 2)
	for name, s := range rooms {
		assert.Greater(t, s.StopGrace, drain, name)
		for node := range nodes {
			assert.Contains(t, s.Environment["NATS_URL"], "nats://"+node+":4222", name)
		}
		requireGoodCommand(t, name, s.Command)
	}
}

// The health check of the image, and that the linker sets a variable there is: it does not complain if not.
func TestImageHasFlagsThatRoombusHas(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	assert.Contains(t, string(text), "-X "+reflect.TypeFor[identity.Process]().PkgPath()+".revision=${REVISION}")
	check := regexp.MustCompile(`(?m)^HEALTHCHECK .* CMD \["/roombus", (.*)\]$`).FindSubmatch(text)
	require.NotNil(t, check)
	requireGoodCommand(t, "health check", strings.Split(strings.ReplaceAll(string(check[1]), `"`, ""), ", "))
}

// requireGoodCommand runs the command where no NATS is: it gets as far as that.
func requireGoodCommand(t *testing.T, name string, args []string) {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), args...)
	cmd.Env = harness.Env(t.TempDir(), "NATS_URL=nats://127.0.0.1:1")
	p := harness.StartCmd(t, cmd)
	status, stderr := p.Wait(), p.Stderr.String()
	assert.Equal(t, 5, status, "%s: %s", name, stderr)
	assert.Contains(t, stderr, "cannot reach NATS", name)
}

func TestUnitRunsRoombusWithFlagsThatItHas(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("roombus.service")
	require.NoError(t, err)
	command := regexp.MustCompile(`(?m)^ExecStart=\S+/roombus (.*)$`).FindSubmatch(unit)
	require.NotNil(t, command)
	line := strings.NewReplacer("%S/roombus", t.TempDir(), "$ROOMBUS_FLAGS", "--listen=127.0.0.1:0").Replace(string(command[1]))
	p := harness.Start(t, harness.Binary(t), strings.Fields(line)...)
	p.Stderr.Await(t, `msg=serving`)
	assert.Regexp(t, `(?m)^Type=notify$`, string(unit))
	assert.Regexp(t, `(?m)^RestrictAddressFamilies=.*\bAF_UNIX\b`, string(unit), "the socket of systemd")

	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\S+)$`).FindSubmatch(unit)
	require.NotNil(t, stop)
	timeout, err := time.ParseDuration(string(stop[1]))
	require.NoError(t, err)
	assert.Greater(t, timeout, drain)
}
