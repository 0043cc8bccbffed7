package auth

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Init makes the operator and the accounts that every deployment has. What exists stays. It returns the
// names of what it made or changed.
func Init(dir string) (f *Folder, changed []string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, err
	}
	f = &Folder{Dir: dir}
	err = f.change(func() error {
		made, err := f.initOperator()
		if err != nil {
			return err
		}
		if made {
			changed = append(changed, "operator "+operatorName)
		}
		all, err := f.entries()
		if err != nil {
			return err
		}
		for _, e := range fixed() {
			if _, exists := find(all, e.Name); !exists {
				all = append(all, e)
			}
		}
		sortEntries(all)
		for _, e := range all {
			if e.Revoked {
				continue
			}
			did, err := f.ensure(e)
			if err != nil {
				return err
			}
			changed = append(changed, did...)
		}
		return f.writeResolver()
	})
	return f, changed, err
}

// fixed are the entries that every deployment has.
func fixed() []Entry {
	return []Entry{
		{Name: System, Kind: KindSystem},
		{Name: Rooms, Kind: KindRooms},
		{Name: Operators, Kind: KindOperators, May: Requests()},
		{Name: Clients, Kind: KindClient, May: Requests(), Limits: ClientLimits()},
	}
}

// initOperator makes the operator, its signing key and the key of the system account.
func (f *Folder) initOperator() (made bool, err error) {
	token, err := read(f.operatorFile())
	if err != nil {
		return false, err
	}
	if token != "" {
		f.operator, err = jwt.DecodeOperatorClaims(token)
		return false, err
	}
	key, public, err := f.newKey(nkeys.CreateOperator)
	if err != nil {
		return false, err
	}
	_, signing, err := f.newKey(nkeys.CreateOperator)
	if err != nil {
		return false, err
	}
	f.operator = jwt.NewOperatorClaims(public)
	f.operator.Name = operatorName
	f.operator.SigningKeys.Add(signing)
	if f.operator.SystemAccount, err = f.systemAccount(); err != nil {
		return false, err
	}
	if token, err = f.operator.Encode(key); err != nil {
		return false, err
	}
	info, err := json.Marshal(map[string]any{"managed": false, "name": operatorName, "kind": jwt.OperatorClaim, "version": "1"})
	if err != nil {
		return false, err
	}
	if err := write(f.store(".nsc"), info); err != nil {
		return false, err
	}
	return true, write(f.operatorFile(), []byte(token))
}

// systemAccount signs the system account, and returns its key. The account may exist: an earlier init may
// have been interrupted.
func (f *Folder) systemAccount() (string, error) {
	account := Entry{Name: System, Kind: KindSystem}.AccountName()
	claims, err := f.account(account)
	if err != nil {
		return "", err
	}
	if claims == nil {
		_, public, err := f.newKey(nkeys.CreateAccount)
		if err != nil {
			return "", err
		}
		claims = jwt.NewAccountClaims(public)
		claims.Name = account
	}
	return claims.Subject, f.sign(claims)
}

// signingKey returns the key that signs accounts.
func (f *Folder) signingKey() (nkeys.KeyPair, error) {
	err := fmt.Errorf("the operator has no signing key: %w", ErrNoSigningKey)
	for _, public := range f.operator.SigningKeys {
		var key nkeys.KeyPair
		if key, err = f.key(public); err == nil {
			return key, nil
		}
	}
	return nil, err
}

// OperatorKeyFile is the file of the operator's own secret key, which no command but init needs.
func (f *Folder) OperatorKeyFile() string { return f.keyFile(f.operator.Subject) }
