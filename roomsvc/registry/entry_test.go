package registry

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// stored is what a bucket has under a key.
type stored struct {
	jetstream.KeyValueEntry
	key string
	value
}

func (s stored) Key() string        { return s.key }
func (s stored) Value() []byte      { return s.data }
func (s stored) Revision() uint64   { return s.revision }
func (s stored) Created() time.Time { return s.time }

// A value that is delivered again, when the bucket is read again, is not decoded again.
func TestEntries_KnownRevisionIsNotDecoded(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	e := newEntries(slog.New(slog.NewTextHandler(&log, nil)), func([]*room.Registration, expression.Params) {})
	e.update("param.bans", value{data: []byte(`[]`), revision: 2})
	e.update("param.bans", value{data: []byte(`unusable`), revision: 2})
	e.update("param.bans", value{data: []byte(`unusable`), revision: 1})
	assert.Empty(t, log.String())
	e.update("param.bans", value{data: []byte(`unusable`), revision: 3})
	assert.Contains(t, log.String(), `msg="document unusable; the previous one stays" param=bans`)
	assert.NotNil(t, e.get("param.bans").document)
}

// The document in a restored bucket is older than the known one. In a bucket that another service
// has written back to, it may be a new one, with a lower revision.
func TestEntry_IsLaterThanStoredDocument(t *testing.T) {
	t.Parallel()
	const key = "param.bans"
	now := time.Now()
	known, err := newEntry(key, value{data: []byte(`1`), revision: 7, time: now})
	require.NoError(t, err)
	for name, there := range map[string]struct {
		value
		later bool
	}{
		"restored":    {value{[]byte(`2`), 3, now.Add(-time.Second)}, true},
		"put since":   {value{[]byte(`2`), 3, now.Add(time.Second)}, false},
		"unusable":    {value{[]byte(`{`), 3, now.Add(time.Second)}, true},
		"not read":    {value{[]byte(`2`), 8, now.Add(time.Second)}, false},
		"of no order": {value{[]byte(`2`), 8, now.Add(-time.Second)}, false},
	} {
		assert.Equal(t, there.later, known.isLaterThan(stored{key: key, value: there.value}), name)
	}
}
