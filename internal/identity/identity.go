// Package identity tells which process this is: of which build, on which host.
package identity

import (
	"cmp"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// revision is set by the linker (-X) where the program is built without its repository, as in the
// container image.
var revision string

// unknown stands for what cannot be found out.
const unknown = "unknown"

// Process is what tells one process from another.
type Process struct {
	Host     string
	PID      int
	Revision string // as Revision returns it
	Started  time.Time
}

// This returns this process, which counts as started now.
func This() Process {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = unknown
	}
	return Process{Host: host, PID: os.Getpid(), Revision: Revision(), Started: time.Now().UTC()}
}

// Revision returns the revision of the source that the program was built from: 12 characters, with
// "-dirty" behind them if the source was modified. It is "unknown" if the build did not record one.
func Revision() string {
	if revision != "" {
		return short(revision)
	}
	info, _ := debug.ReadBuildInfo()
	return recorded(info)
}

// recorded is the revision that the go command has recorded in a build.
func recorded(info *debug.BuildInfo) string {
	var is string
	dirty := false
	if info != nil {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				is = short(s.Value)
			case "vcs.modified":
				dirty = s.Value == "true"
			}
		}
	}
	if is != "" && dirty {
		is += "-dirty"
	}
	return cmp.Or(is, unknown)
}

func short(revision string) string { return revision[:min(12, len(revision))] }

// Metadata is the process as the micro protocol shows it.
func (p Process) Metadata() map[string]string {
	return map[string]string{
		"host":     p.Host,
		"pid":      strconv.Itoa(p.PID),
		"revision": p.Revision,
		"started":  p.Started.Format(time.RFC3339),
	}
}
