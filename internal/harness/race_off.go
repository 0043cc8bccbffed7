//go:build !race

package harness

func buildFlags() []string { return nil }
