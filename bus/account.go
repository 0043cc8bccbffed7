package bus

import (
	"encoding/json"

	"github.com/nats-io/nats.go"
)

// requestInfo is the header in which the server names the account of a client whose message has crossed
// into another account. The server removes what the client has set.
const requestInfo = "Nats-Request-Info"

// AnyAccount stands for all accounts, and UnknownAccount for one that cannot be told. Neither is the name
// of an account.
const (
	AnyAccount     = "*"
	UnknownAccount = "?"
)

// Account returns the account that a message comes from: its name or, in operator mode, its public key. It
// is empty for a message from within the account of the receiver. A client within that account can forge
// the header, so it can claim to be in another account, but a client of another account cannot hide that.
func Account(h nats.Header) string {
	all := h[requestInfo]
	if len(all) == 0 {
		return ""
	}
	var info struct {
		Account string `json:"acc"`
	}
	// The server adds one line. The client library reads more than one if the client hid its own from the
	// server by a bare line feed.
	if len(all) > 1 || json.Unmarshal([]byte(all[0]), &info) != nil || info.Account == "" {
		return UnknownAccount
	}
	return info.Account
}

// isFrom reports whether a message may come from the account: it does, or it comes from within the account
// of the receiver, whose clients are trusted.
func isFrom(account string, h nats.Header) bool {
	if account == "" || account == AnyAccount {
		return true
	}
	from := Account(h)
	return from == "" || from == account
}
