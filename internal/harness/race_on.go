//go:build race

package harness

// BuildFlags are the flags for programs that a test starts. They enable the race detector if the
// test uses it. Programs without debug information take half the time to link.
func BuildFlags() []string { return []string{"-race", "-ldflags=-w"} }
