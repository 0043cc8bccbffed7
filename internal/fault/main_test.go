package fault_test

import (
	"testing"

	"github.com/roombus/roombus/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
