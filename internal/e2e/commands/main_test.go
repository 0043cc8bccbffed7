// Package commands_test tests commands from the request to the event: the wire contract, errors,
// retries, order and rejections.
package commands_test

import (
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

func TestMain(m *testing.M) { scene.Main(m) }
