package bus

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// LogConnection returns options that make a connection log when it fails and when it is established again. Outage
// limits the failures that are logged. meanwhile tells operators the consequence of a lost connection. Other errors
// of NATS are logged too, each text at most once a minute.
func LogConnection(log *slog.Logger, meanwhile string) []nats.Option {
	var outage Outage
	errs := make(map[string]*Outage) // needs no lock: the library calls the handlers sequentially
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
				if sub == nil { // such as refused credentials; errors of subscriptions only repeat that the connection is down
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
			log.Error("NATS error", "error", err, "subject", subject)
		}),
	}
}

// maxErrorTexts bounds the number of error texts that are limited separately.
const maxErrorTexts = 100
