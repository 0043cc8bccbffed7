package identity

import (
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRevision_OfTheBuild(t *testing.T) {
	t.Parallel()
	const revision = "573a577aabbccddeeff00112233445566778899a"
	for want, settings := range map[string][]debug.BuildSetting{
		"573a577aabbc":       {{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: "false"}},
		"573a577aabbc-dirty": {{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: revision}},
		"573a577":            {{Key: "vcs.revision", Value: "573a577"}},
		"unknown":            {{Key: "-buildmode", Value: "exe"}},
	} {
		assert.Equal(t, want, recorded(&debug.BuildInfo{Settings: settings}))
	}
	assert.Equal(t, "unknown", recorded(nil))
}

func TestMetadata_NamesTheProcess(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	require.NoError(t, err)
	p := This()
	m := p.Metadata()
	assert.Equal(t, host, m["host"])
	assert.Equal(t, strconv.Itoa(os.Getpid()), m["pid"])
	assert.Equal(t, Revision(), m["revision"])
	started, err := time.Parse(time.RFC3339, m["started"])
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), started, time.Minute)
}
