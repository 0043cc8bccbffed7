package roomsvc

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRoomLines_OnePerRoomAndMinute(t *testing.T) {
	t.Parallel()
	var l roomLines
	now := time.Now()
	for n, c := range []struct {
		room    string
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
		leftOut, log := l.admit(c.room, now.Add(c.after))
		assert.Equal(t, c.log, log, n)
		assert.Equal(t, c.leftOut, leftOut, n)
	}
}

func TestRoomLines_ManyRoomsAreBounded(t *testing.T) {
	t.Parallel()
	var l roomLines
	now := time.Now()
	logged := 0
	for n := range 10 * maxRoomLines {
		if _, log := l.admit(strconv.Itoa(n), now); log {
			logged++
		}
	}
	assert.Equal(t, maxRoomLines+1, logged)
	assert.Len(t, l.rooms, maxRoomLines+1)
	leftOut, log := l.admit("other", now.Add(time.Minute))
	assert.True(t, log)
	assert.Zero(t, leftOut)
	assert.Len(t, l.rooms, 1, "rooms whose minute is over are forgotten")
}
