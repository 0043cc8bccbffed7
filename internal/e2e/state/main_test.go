// Package state_test tests the state of rooms: the projection of the stream, snapshots, and the
// removal of histories.
package state_test

import (
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

func TestMain(m *testing.M) { scene.Main(m) }
