package bus

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// LogConnection returns options with which a connection logs when it is lost or not made yet, as Outage says, and
// when it is there again. meanwhile is what that means to operators. Errors that NATS reports beside are logged too,
// each text once a minute at most.
func LogConnection(log *slog.Logger, meanwhile string) []nats.Option {
	var outage Outage
	errs := make(map[string]*Outage) // the library makes one call of a handler after the other
	failed := func(nc *nats.Conn, err error) {
		if err != nil && !nc.IsClosed() && outage.Failed(time.Now()) {
			log.Warn("no connection to NATS: "+meanwhile, "servers", nc.Servers(), "error", err)
		}
	}
	connected := func(message string) nats.ConnHandler {
		return func(nc *nats.Conn) {
			if lasted, logged := outage.Ended(time.Now()); logged {
				log.Info(message, "server", nc.ConnectedUrlRedacted(), "outage", lasted.Round(time.Millisecond))
			}
		}
	}
	return []nats.Option{
		nats.DisconnectErrHandler(failed),
		nats.ReconnectErrHandler(failed),
		nats.ConnectHandler(connected("connected to NATS")),
		nats.ReconnectHandler(connected("connected to NATS again")),
		nats.ErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
			if !nc.IsConnected() {
				if sub == nil { // such as credentials that are refused; a subscription fails for want of a connection
					failed(nc, err)
				}
				return
			}
			text := err.Error()
			if len(errs) >= maxErrorTexts && errs[text] == nil {
				text = ""
			}
			if errs[text] == nil {
				errs[text] = &Outage{}
			}
			if !errs[text].Failed(time.Now()) {
				return
			}
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Error("NATS", "error", err, "subject", subject)
		}),
	}
}

// maxErrorTexts bounds the errors that are told apart.
const maxErrorTexts = 100
