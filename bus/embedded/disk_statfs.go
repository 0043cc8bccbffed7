//go:build linux || darwin

package embedded

import "syscall"

// freeBytes returns the number of bytes that a process may still write to the folder's disk.
func freeBytes(dir string) (bytes int64, known bool) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, false
	}
	return int64(fs.Bavail) * int64(fs.Bsize), true //nolint:unconvert // not an int64 on every system
}
