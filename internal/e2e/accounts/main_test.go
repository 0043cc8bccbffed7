// Package accounts_test tests apps that have NATS accounts of their own.
package accounts_test

import (
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

func TestMain(m *testing.M) { scene.Main(m) }
