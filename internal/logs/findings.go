package logs

import (
	"log/slog"
	"slices"
	"strings"
)

// Findings logs the findings of a check that is repeated: only what has changed since the last
// check. The zero Findings is ready. Its method must not be called concurrently.
type Findings struct{ last []string }

// Log logs an error if there is a new finding, and information if one is gone. The attributes are
// those of the error.
func (f *Findings) Log(log *slog.Logger, message string, found []string, attrs ...any) {
	was := f.last
	f.last = found
	if len(without(found, was)) > 0 {
		log.Error(message, append([]any{"found", strings.Join(found, "; ")}, attrs...)...)
	} else if mended := without(was, found); len(mended) > 0 {
		log.Info("no longer: "+message, "was", strings.Join(mended, "; "), "still", strings.Join(found, "; "))
	}
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(some, one) })
}
