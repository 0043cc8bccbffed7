package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"

	"github.com/nats-io/nats.go"
)

const traceParent = "traceparent"

var validTraceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// TraceParent is the W3C trace context that came with a message, however its header is
// written, or one made from the id so that everything done for one id is one trace.
func TraceParent(h nats.Header, id string) string {
	for _, key := range []string{traceParent, "Traceparent"} {
		if v := h.Get(key); validTraceParent.MatchString(v) {
			return v
		}
	}
	sum := sha256.Sum256([]byte(id))
	return "00-" + hex.EncodeToString(sum[:16]) + "-" + hex.EncodeToString(sum[16:24]) + "-00"
}
