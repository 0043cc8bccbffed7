package logs

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLines_OnePerKeyAndMinute(t *testing.T) {
	t.Parallel()
	var l Lines
	now := time.Now()
	for n, c := range []struct {
		key     string
		after   time.Duration
		log     bool
		leftOut int
	}{
		{"a", 0, true, 0},
		{"a", time.Second, false, 0},
		{"b", time.Second, true, 0},
		{"a", 59 * time.Second, false, 0},
		{"a", time.Minute, true, 2},
		{"a", 2 * time.Minute, true, 0},
	} {
		leftOut, log := l.Admit(c.key, now.Add(c.after))
		assert.Equal(t, c.log, log, n)
		assert.Equal(t, c.leftOut, leftOut, n)
	}
}

func TestLines_ManyKeysAreBounded(t *testing.T) {
	t.Parallel()
	var l Lines
	now := time.Now()
	logged := 0
	for n := range 10 * maxKeys {
		if _, log := l.Admit(strconv.Itoa(n), now); log {
			logged++
		}
	}
	assert.Equal(t, maxKeys+1, logged)
	assert.Len(t, l.keys, maxKeys+1)
	leftOut, log := l.Admit("other", now.Add(time.Minute))
	assert.True(t, log)
	assert.Zero(t, leftOut)
	assert.Len(t, l.keys, 1, "keys whose minute is over are forgotten")
}
