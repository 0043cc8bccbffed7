package bus

import (
	"slices"
	"strings"
)

// IsInbox reports whether an answer may be published to the reply subject: it is an inbox
// of a client (_INBOX…), of a request across accounts (_R_.…), or has one of the extra
// prefixes. Whoever answers must ask first: within one account any caller can name any
// subject as its reply, and would have the answer stored as an event.
func IsInbox(reply string, extra ...string) bool {
	if strings.ContainsAny(reply, "*> \t") {
		return false // a pattern, or no subject at all
	}
	if strings.HasPrefix(reply, "_INBOX") || strings.HasPrefix(reply, "_R_.") {
		return true
	}
	for _, prefix := range extra {
		if prefix != "" && strings.HasPrefix(reply, prefix+".") {
			return true
		}
	}
	return false
}

// IsInboxPrefix reports whether subjects can begin with the prefix and a dot.
func IsInboxPrefix(prefix string) bool {
	return !strings.ContainsAny(prefix, "*> \t\r\n") && !slices.Contains(strings.Split(prefix, "."), "")
}
