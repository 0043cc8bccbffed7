package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/internal/logs"
)

// Flags of the log.
const (
	logLevelFlag = "log-level"
	logJSONFlag  = "log-json"
)

func addLogFlags(c *cobra.Command) {
	c.Flags().Var(new(logLevel), logLevelFlag, logs.Levels+" ("+logs.LevelVar+")")
	c.Flags().Bool(logJSONFlag, false, "log as JSON ("+logs.FormVar+"=json)")
}

// logLevel is a flag: a level of the log.
type logLevel slog.Level

func (l *logLevel) String() string { return slog.Level(*l).String() }

func (l *logLevel) Set(s string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(s)) != nil {
		return errors.New("it must be " + logs.Levels)
	}
	return nil
}

func (*logLevel) Type() string { return "level" }

// logSettings reads the settings of the log from the flags, or else from the environment.
func logSettings(c *cobra.Command) (logs.Settings, error) {
	s, err := logs.FromEnv()
	if f := c.Flag(logLevelFlag); f.Changed {
		s.Level = slog.Level(*f.Value.(*logLevel))
	}
	if f := c.Flag(logJSONFlag); f.Changed {
		s.JSON = f.Value.String() == "true"
	}
	return s, err
}

// logFailure logs why a command failed, if the command logs as JSON. A program that reads the log
// finds no other lines in it.
func logFailure(w io.Writer, c *cobra.Command, err error, says string) bool {
	if c.Flag(logJSONFlag) == nil {
		return false // it has no log
	}
	settings, _ := logSettings(c) // err names a wrong environment
	if !settings.JSON {
		return false
	}
	log := settings.New(w)
	if errors.Is(err, context.Canceled) {
		log.Info("interrupted")
	} else {
		log.Error(c.Name()+" failed", "error", says)
	}
	return true
}
