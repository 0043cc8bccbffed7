// Package operations_test tests what an operator does: serve, provision, secure, check, back up and
// restore, on one node and on clusters.
package operations_test

import (
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

func TestMain(m *testing.M) { scene.Main(m) }
