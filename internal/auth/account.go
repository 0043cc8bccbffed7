package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Set makes the app or client, or changes its rights and limits. A revoked one gets new credentials. It
// returns the names of what it made or changed, none if all is as wanted, or ErrNameTaken.
func (f *Folder) Set(e Entry) (changed []string, err error) {
	err = f.change(func() error {
		all, err := f.entries()
		if err != nil {
			return err
		}
		if other, exists := find(append(all, fixed()...), e.Name); exists && other.Kind != e.Kind {
			return fmt.Errorf("%q belongs to account %s: %w", e.Name, other.AccountName(), ErrNameTaken)
		}
		changed, err = f.ensure(e)
		return err
	})
	return changed, err
}

// ensure makes the account and the credentials of an entry, or changes what differs.
func (f *Folder) ensure(e Entry) (changed []string, err error) {
	claims, err := f.account(e.AccountName())
	if err != nil {
		return nil, err
	}
	if claims == nil {
		_, public, err := f.newKey(nkeys.CreateAccount)
		if err != nil {
			return nil, err
		}
		claims = jwt.NewAccountClaims(public)
		claims.Name = e.AccountName()
	}
	before, err := comparable(claims)
	if err != nil {
		return nil, err
	}
	if err := f.grant(e, claims); err != nil {
		return nil, err
	}
	after, err := comparable(claims)
	if err != nil {
		return nil, err
	}
	if after != before || claims.Issuer == "" {
		if err := f.sign(claims); err != nil {
			return nil, err
		}
		changed = append(changed, "account "+claims.Name)
	}
	made, err := f.ensureUser(e, claims)
	if made {
		changed = append(changed, "credentials "+f.Creds(e.Name))
	}
	return changed, err
}

// grant sets the rights and limits of an account. It leaves alone what another tool may have set: the
// imports from other accounts than ours, revocations, and so on.
func (f *Folder) grant(e Entry, claims *jwt.AccountClaims) error {
	switch e.Kind {
	case KindRooms:
		claims.Exports = exports()
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	case KindOperators, KindApp, KindClient:
		rooms, err := f.account("ROOMS")
		if err != nil {
			return err
		}
		if rooms == nil {
			return fmt.Errorf("account ROOMS: %w", ErrUnknownName)
		}
		var others jwt.Imports
		for _, i := range claims.Imports {
			if i.Account != rooms.Subject {
				others = append(others, i)
			}
		}
		claims.Imports = append(imports(e, rooms.Subject), others...)
	case KindSystem:
	}
	if e.Kind == KindApp || e.Kind == KindClient {
		claims.Limits.Conn, claims.Limits.Subs, claims.Limits.Payload = e.Limits.Connections, e.Limits.Subscriptions, e.Limits.Payload
		claims.Limits.LeafNodeConn, claims.Limits.DisallowBearer, claims.Limits.Exports = 0, true, 0
	}
	sort.Sort(claims.Exports)
	sort.Sort(claims.Imports)
	results := jwt.CreateValidationResults()
	claims.Validate(results)
	for _, issue := range results.Issues {
		if issue.Blocking {
			return fmt.Errorf("claims of account %s: %s", claims.Name, issue.Description)
		}
	}
	return nil
}

// comparable is the content of an account, without the time of its signature.
func comparable(claims *jwt.AccountClaims) (string, error) {
	content, err := json.Marshal(claims.Account)
	return string(content), err
}

// account returns the claims of an account, or nil if it does not exist.
func (f *Folder) account(name string) (*jwt.AccountClaims, error) {
	token, err := read(f.accountFile(name))
	if err != nil || token == "" {
		return nil, err
	}
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.accountFile(name), err)
	}
	return claims, nil
}

// accounts returns the claims of all accounts, also of those that another tool made.
func (f *Folder) accounts() ([]*jwt.AccountClaims, error) {
	folders, err := os.ReadDir(f.store("accounts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []*jwt.AccountClaims
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		claims, err := f.account(folder.Name())
		if err != nil {
			return nil, err
		}
		if claims != nil { // nil if a command was interrupted
			all = append(all, claims)
		}
	}
	return all, nil
}

// sign signs and writes an account.
func (f *Folder) sign(claims *jwt.AccountClaims) error {
	key, err := f.signingKey()
	if err != nil {
		return err
	}
	token, err := claims.Encode(key)
	if err != nil {
		return fmt.Errorf("signing account %s: %w", claims.Name, err)
	}
	return write(f.accountFile(claims.Name), []byte(token))
}

// Rotate makes new credentials, and revokes the old ones. It returns ErrUnknownName if there are none.
func (f *Folder) Rotate(name string, now time.Time) error {
	return f.change(func() error {
		e, err := f.Entry(name)
		if err != nil {
			return err
		}
		user, err := f.user(e)
		if err != nil {
			return err
		}
		if user == nil {
			return fmt.Errorf("%q has no credentials: %w", name, ErrUnknownName)
		}
		claims, err := f.account(e.AccountName())
		if err != nil {
			return err
		}
		// The revocation is first. If Rotate is interrupted, it can be called again, and the old key
		// is still known.
		claims.Revocations = revoked(claims, user.Subject, now)
		if err := f.sign(claims); err != nil {
			return err
		}
		if err := f.issue(e, claims); err != nil {
			return err
		}
		return f.after(e, remove(f.keyFile(user.Subject)))
	})
}

// Revoke removes the credentials and rights of an app or client. It returns ErrIndispensable for the other
// accounts.
func (f *Folder) Revoke(name string, now time.Time) (changed bool, err error) {
	err = f.change(func() error {
		e, err := f.Entry(name)
		if err != nil {
			return err
		}
		if e.Kind != KindApp && e.Kind != KindClient {
			return fmt.Errorf("%q: %w", name, ErrIndispensable)
		}
		if e.Revoked {
			return nil
		}
		changed = true
		claims, err := f.account(e.AccountName())
		if err != nil {
			return err
		}
		users, err := f.users(e.AccountName())
		if err != nil {
			return err
		}
		for _, user := range users {
			claims.Revocations = revoked(claims, user.Subject, now)
		}
		// A revocation covers credentials made in its second. New credentials of the app may be made in
		// this second, so users that the folder does not know are revoked up to the second before.
		claims.Revocations = revoked(claims, jwt.All, now.Add(-time.Second))
		claims.Imports = nil
		if err := f.sign(claims); err != nil {
			return err
		}
		return f.after(e, f.removeUsers(e, users))
	})
	return changed, err
}

func revoked(claims *jwt.AccountClaims, key string, at time.Time) jwt.RevocationList {
	list := claims.Revocations
	if list == nil {
		list = make(jwt.RevocationList)
	}
	list.Revoke(key, at)
	return list
}

// after completes a change of an entry.
func (f *Folder) after(e Entry, err error) error {
	if err != nil || e.Kind == KindApp {
		return err
	}
	return f.writeResolver()
}
