package auth

import (
	"encoding/json"
	"fmt"

	"github.com/roombus/roombus/bus"
)

// natsContext is a context of the nats CLI, as far as it is written here.
type natsContext struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	Creds       string `json:"creds"`
	CA          string `json:"ca,omitempty"`
	Domain      string `json:"jetstream_domain,omitempty"`
}

// SaveContext writes a context of the nats CLI with the credentials of an entry, and returns its file.
// It replaces a context that was made for the same credentials, and returns an error if another one has
// the name.
func (f *Folder) SaveContext(name string, e Entry, url, ca string) (file string, err error) {
	if file, err = bus.ContextFile(name); err != nil {
		return "", fmt.Errorf("NATS context %q: %w", name, err)
	}
	old, err := read(file)
	if err != nil {
		return "", err
	}
	var existing natsContext
	if old != "" && (json.Unmarshal([]byte(old), &existing) != nil || existing.Creds != f.Creds(e.Name)) {
		return "", fmt.Errorf("there is another NATS context %q, in %s: choose another name, or remove it with nats context rm %[1]s", name, file)
	}
	c := natsContext{Description: "roombus: " + e.Name, URL: url, Creds: f.Creds(e.Name), CA: ca}
	if e.Kind == KindApp || e.Kind == KindOperators {
		c.Domain = Domain
	}
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", err
	}
	return file, write(file, append(content, '\n'))
}
