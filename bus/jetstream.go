package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Domain returns the JetStream domain of the settings or their context, empty if there is none. It returns
// the *SettingsError of Check if the context cannot be read.
func (s Settings) Domain() (string, error) {
	all, err := s.resolve()
	if err != nil {
		return "", err
	}
	return all.JSDomain, nil
}

// JetStream returns the JetStream of the connection in the domain of the settings.
func (s Settings) JetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	domain, err := s.Domain()
	if err != nil {
		return nil, err
	}
	return JetStream(nc, domain)
}

// JetStream returns the JetStream of the connection, or of the domain if it is not empty.
func JetStream(nc *nats.Conn, domain string) (js jetstream.JetStream, err error) {
	if domain == "" {
		js, err = jetstream.New(nc)
	} else {
		js, err = jetstream.NewWithDomain(nc, domain)
	}
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	return js, nil
}
