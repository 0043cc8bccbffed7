package expression_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
)

// Expressions are compiled concurrently, also with unknown names: the race detector finds nothing.
func TestCompile_Concurrently(t *testing.T) {
	t.Parallel()
	var compiling sync.WaitGroup
	for _, i := range []room.Interface{room.PreRoomUserJoined, room.PreRoomUpdatePrevent, room.PreRoomUserUpdatePrevent} {
		for range 4 {
			compiling.Go(func() {
				_, err := expression.Compile(i, `nothing.of.it`)
				assert.ErrorContains(t, err, "undeclared reference")
			})
			compiling.Go(func() {
				_, err := expression.Compile(i, `event.members.exists(m, m.id == "a")`)
				assert.NoError(t, err)
			})
		}
	}
	compiling.Wait()
}
