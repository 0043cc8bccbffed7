// Package cli_test tests the roombus program as a person uses it, and what the pages of the
// documentation show.
package cli_test

import (
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

func TestMain(m *testing.M) { scene.Main(m) }
