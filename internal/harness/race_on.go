//go:build race

package harness

// buildFlags: what a test under the race detector starts is under it too.
func buildFlags() []string { return []string{"-race"} }
