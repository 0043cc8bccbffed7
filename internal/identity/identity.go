// Package identity identifies a process: its build and its host.
package identity

import (
	"cmp"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// revision is set by the linker (-X) if the program is built without its repository, as in the
// container image.
var revision string

// unknown stands for a value that cannot be determined.
const unknown = "unknown"

// Process identifies a process.
type Process struct {
	Host     string
	PID      int
	Revision string // as Revision returns it
	Started  time.Time
}

// This returns this process. Its start time is the time of the call.
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

// recorded returns the revision that the go command recorded in a build.
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

// Metadata returns the process as metadata of the micro protocol.
func (p Process) Metadata() map[string]string {
	return map[string]string{
		"host":     p.Host,
		"pid":      strconv.Itoa(p.PID),
		"revision": p.Revision,
		"started":  p.Started.Format(time.RFC3339),
	}
}
