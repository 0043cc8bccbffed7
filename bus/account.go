package bus

import (
	"encoding/json"

	"github.com/nats-io/nats.go"
)

// requestInfo is the header in which the server names the account of a client whose message has crossed
// into another account. The server removes a header of that name that the client has set.
const requestInfo = "Nats-Request-Info"

// AnyAccount stands for all accounts, and UnknownAccount for one that cannot be told. Neither is the name
// of an account.
const (
	AnyAccount     = "*"
	UnknownAccount = "?"
)

// Account returns the account that a message says that it comes from: its name or, in operator mode, its
// public key. It is empty for a message from within the account of the receiver.
//
// Account is a hint and proves nothing. A client within the account can forge the header. A client of
// another account can too: the client library ends a line at a bare line feed and the server does not, so
// the client can hide its header from the server, and end the headers before the line of the server. A
// subject that only one account can import does prove the account.
func Account(h nats.Header) string {
	all := h[requestInfo]
	if len(all) == 0 {
		return ""
	}
	var info struct {
		Account string `json:"acc"`
	}
	if len(all) > 1 || json.Unmarshal([]byte(all[0]), &info) != nil || info.Account == "" {
		return UnknownAccount
	}
	return info.Account
}
