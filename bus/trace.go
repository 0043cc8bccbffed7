package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"

	"github.com/nats-io/nats.go"
)

const traceParent = "traceparent"

var validTraceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// TraceParent returns the W3C trace context of a message, with the header name in lower case or
// canonical form. Without a valid one it derives a trace context from the id, so that all work
// for one id belongs to one trace.
func TraceParent(h nats.Header, id string) string {
	for _, key := range []string{traceParent, "Traceparent"} {
		if v := h.Get(key); validTraceParent.MatchString(v) {
			return v
		}
	}
	sum := sha256.Sum256([]byte(id))
	return "00-" + hex.EncodeToString(sum[:16]) + "-" + hex.EncodeToString(sum[16:24]) + "-00"
}
