package bus

import (
	"slices"
	"strings"
)

// IsInbox reports whether a reply may be published to the subject: the subject is an inbox
// of a client (_INBOX…), of a request across accounts (_R_.…), or has one of the extra
// prefixes. A service must check this before it replies. Within one account, any caller can name
// any subject as its reply subject, and could have the reply stored as an event.
func IsInbox(reply string, extra ...string) bool {
	if strings.ContainsAny(reply, "*> \t") {
		return false // a wildcard, or not a subject
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

// IsInboxPrefix reports whether a subject can begin with the prefix and a dot.
func IsInboxPrefix(prefix string) bool {
	return !strings.ContainsAny(prefix, "*> \t\r\n") && !slices.Contains(strings.Split(prefix, "."), "")
}
