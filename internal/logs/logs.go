// Package logs makes the logger of a program from its environment, so that the room service and the
// workers of apps log in the same form. [Lines] bounds the lines about one fault.
// [Findings] logs what a repeated check finds.
package logs

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// Environment variables.
const (
	FormVar  = "ROOMBUS_LOG"
	LevelVar = "ROOMBUS_LOG_LEVEL"
)

// Levels lists the allowed levels, for messages.
const Levels = "debug, info, warn or error"

// Settings configure the logger of a program. The zero Settings are text and info.
type Settings struct {
	JSON  bool
	Level slog.Level
}

// FromEnv reads the settings from the environment. ROOMBUS_LOG is text or json, ROOMBUS_LOG_LEVEL
// is debug, info, warn or error. An empty or unset variable means the default. The error names
// every variable with another value.
func FromEnv() (Settings, error) {
	var s Settings
	var form, level error
	switch is := os.Getenv(FormVar); is {
	case "", "text":
	case "json":
		s.JSON = true
	default:
		form = fmt.Errorf("%s must be text or json, not %q", FormVar, is)
	}
	if is := os.Getenv(LevelVar); is != "" && s.Level.UnmarshalText([]byte(is)) != nil {
		level = fmt.Errorf("%s must be %s, not %q", LevelVar, Levels, is)
	}
	return s, errors.Join(form, level)
}

// New returns a logger that writes to w.
func (s Settings) New(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: s.Level}
	if s.JSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
