// Package policy_test tests how the verdicts of apps become a decision: timeouts, budgets, breakers,
// essential apps, shadows and conditions.
package policy_test

import (
	"testing"

	"github.com/roombus/roombus/internal/e2e/scene"
)

func TestMain(m *testing.M) { scene.Main(m) }
