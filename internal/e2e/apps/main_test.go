// Package apps_test tests the life of apps: registration, versions, rollbacks and removal, and their
// workers.
package apps_test

import (
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

func TestMain(m *testing.M) { scene.Main(m) }
