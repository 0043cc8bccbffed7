package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	// globalAccount is the account of a server without an operator.
	globalAccount = "$G"
	// claimsDir is the folder in the storage folder where the server keeps the claims of accounts.
	claimsDir = "accounts"
)

// Operator makes the server authenticate its clients by the claims of an operator and its accounts.
type Operator struct {
	// Token has the claims of the operator, which name the system account.
	Token string
	// Accounts are claims of accounts, by their public keys. The server keeps later claims that it was
	// sent while it ran.
	Accounts map[string]string
	// Streams is the public key of the account that has the streams.
	Streams string
	// Creds is the file with the credentials of Connect.
	Creds string
}

// configure sets the operator and a resolver that takes claims while the server runs.
func (o *Operator) configure(opts *server.Options) error {
	claims, err := jwt.DecodeOperatorClaims(o.Token)
	if err != nil {
		return fmt.Errorf("reading the claims of the operator: %w", err)
	}
	resolver, err := server.NewDirAccResolver(filepath.Join(opts.StoreDir, claimsDir), 0, time.Minute, server.NoDelete)
	if err != nil {
		return fmt.Errorf("opening the claims of accounts: %w", err)
	}
	for key, token := range o.Accounts {
		if err := resolver.Store(key, token); err != nil {
			return fmt.Errorf("storing the claims of account %s: %w", key, err)
		}
	}
	opts.TrustedOperators = []*jwt.OperatorClaims{claims}
	opts.SystemAccount = claims.SystemAccount
	opts.AccountResolver = resolver
	return nil
}

// checkStreams returns ErrOtherAccount if the folder has streams, but none of the account.
func checkStreams(storeDir, account string) error {
	accounts, err := list(filepath.Join(storeDir, server.JetStreamStoreDir))
	if err != nil {
		return err
	}
	var others bool
	for _, name := range accounts {
		streams, err := list(streamsDir(storeDir, name))
		if err != nil {
			return err
		}
		if len(streams) > 0 && name == account {
			return nil
		}
		others = others || len(streams) > 0
	}
	if others {
		return fmt.Errorf("%s: %w", storeDir, ErrOtherAccount)
	}
	return nil
}

// list returns the names in a folder, none if it is absent.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, nil
}

func streamsDir(storeDir, account string) string {
	return filepath.Join(accountDir(storeDir, account), "streams")
}

func accountDir(storeDir, account string) string {
	return filepath.Join(storeDir, server.JetStreamStoreDir, account)
}

// MoveStreams gives the streams of a server that had no operator to an account, with its public key. It
// returns the number of streams, 0 if there are none to move. It returns ErrStoreLocked while a server
// runs on the folder, and ErrOtherAccount if the account has streams already. The move is one rename:
// after a crash it is either done or not.
func MoveStreams(storeDir, account string) (moved int, err error) {
	lock, err := lockStore(storeDir)
	if err != nil {
		return 0, err
	}
	defer func() { _ = lock.Unlock() }() // if it fails, the lock ends with the process
	from, err := list(streamsDir(storeDir, globalAccount))
	if err != nil || len(from) == 0 {
		return 0, err
	}
	to := accountDir(storeDir, account)
	for _, empty := range []string{streamsDir(storeDir, account), to} {
		_ = os.Remove(empty) // a server may have made them; if they are not empty, the rename fails
	}
	if _, err := os.Lstat(to); err == nil {
		return 0, fmt.Errorf("account %s has streams in %s already: %w", account, to, ErrOtherAccount)
	}
	if err := os.Rename(accountDir(storeDir, globalAccount), to); err != nil {
		return 0, fmt.Errorf("moving the streams: %w", err)
	}
	return len(from), nil
}
