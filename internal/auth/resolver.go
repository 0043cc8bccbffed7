package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/roombus/roombus/bus/embedded"
)

// Tokens returns the claims of all accounts by their public keys, also of accounts that another tool
// made.
func (f *Folder) Tokens() (map[string]string, error) {
	accounts, err := f.accounts()
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for _, claims := range accounts {
		if all[claims.Subject], err = read(f.accountFile(claims.Name)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Operator returns what the embedded NATS server needs. It reads no secret key, and the claims of all
// accounts.
func (f *Folder) Operator() (*embedded.Operator, error) {
	token, err := read(f.operatorFile())
	if err != nil {
		return nil, err
	}
	accounts, err := f.Tokens()
	if err != nil {
		return nil, err
	}
	rooms, err := f.Entry(Rooms)
	if err != nil {
		return nil, err
	}
	return &embedded.Operator{Token: token, Accounts: accounts, Streams: rooms.Key, Creds: f.Creds(Rooms)}, nil
}

// writeResolver writes the configuration of nats-server. It has no apps: they are pushed.
func (f *Folder) writeResolver() error {
	token, err := read(f.operatorFile())
	if err != nil {
		return err
	}
	entries, err := f.entries()
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Written by roombus auth. For nats-server: include this file in its configuration, and set NODE_ACCOUNTS
# in its environment to the folder where this node keeps the claims of accounts. The preloaded claims are
# those of the start; roombus auth push sends all to a running server.

operator: %s
system_account: %s
resolver: { type: full, dir: $NODE_ACCOUNTS, allow_delete: false, interval: "1m" }
resolver_preload: {
`, token, f.operator.SystemAccount)
	for _, e := range entries {
		if !slices.Contains([]string{System, Rooms, Operators, Clients}, e.Name) {
			continue
		}
		account, err := read(f.accountFile(e.AccountName()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "  # %s\n  %s: %s\n", e.AccountName(), e.Key, account)
	}
	b.WriteString("}\n")
	old, err := read(f.ResolverFile())
	if err != nil || old == strings.TrimSpace(b.String()) {
		return err
	}
	return write(f.ResolverFile(), []byte(b.String()))
}
