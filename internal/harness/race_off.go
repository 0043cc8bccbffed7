//go:build !race

package harness

// BuildFlags are the flags for programs that a test starts. They enable the race detector if the
// test uses it.
func BuildFlags() []string { return nil }
