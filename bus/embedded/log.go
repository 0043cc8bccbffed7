package embedded

import (
	"fmt"
	"log/slog"
)

// serverLog forwards the embedded server's log to slog. The server does not return the error
// that prevents its start, it logs it as fatal. serverLog keeps the first fatal message.
type serverLog struct {
	logger *slog.Logger
	fatal  chan string
	failed func(logged []any) // called with the arguments of every error
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.Errorf(format, v...)
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.logger.Error(fmt.Sprintf(format, v...))
	l.failed(v)
}

func (l *serverLog) Warnf(format string, v ...any) { l.logger.Warn(fmt.Sprintf(format, v...)) }

// Noticef logs at debug: a server's notices are details of the process it is embedded in.
func (l *serverLog) Noticef(format string, v ...any) { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.logger.Debug(fmt.Sprintf(format, v...)) }
