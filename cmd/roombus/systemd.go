package main

import (
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/roomsvc"
)

// systemd reports the state of a unit of Type=notify to systemd. Without systemd it does nothing.
type systemd struct{ log *slog.Logger }

func (s systemd) ready() { s.notify(daemon.SdNotifyReady) }

func (s systemd) stopping() { s.notify(daemon.SdNotifyStopping + "\nSTATUS=draining") }

// status shows the readiness in systemctl status.
func (s systemd) status(r roomsvc.Readiness) {
	text := "ready"
	if !r.Ready {
		text = "not ready: " + r.NotReady
	}
	s.notify("STATUS=" + bus.OneLine(text))
}

func (s systemd) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("cannot tell systemd the state of the service", "state", state, "error", err)
	}
}
