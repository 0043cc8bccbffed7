//go:build !race

package harness

// BuildFlags are those of a program that a test starts: without the race detector if it is.
func BuildFlags() []string { return nil }
