package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// user returns the claims of an entry's user, or nil if it has none.
func (f *Folder) user(e Entry) (*jwt.UserClaims, error) {
	return decodeUser(f.userFile(e.AccountName(), e.Name))
}

func decodeUser(file string) (*jwt.UserClaims, error) {
	token, err := read(file)
	if err != nil || token == "" {
		return nil, err
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return claims, nil
}

// users returns all users of an account, also those that another tool made.
func (f *Folder) users(account string) ([]*jwt.UserClaims, error) {
	files, err := os.ReadDir(f.store("accounts", account, "users"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []*jwt.UserClaims
	for _, file := range files {
		name, is := strings.CutSuffix(file.Name(), ".jwt")
		if !is {
			continue
		}
		claims, err := decodeUser(f.userFile(account, name))
		if err != nil {
			return nil, err
		}
		if claims != nil {
			all = append(all, claims)
		}
	}
	return all, nil
}

// ensureUser makes the user of an entry and its credentials, unless they exist.
func (f *Folder) ensureUser(e Entry, account *jwt.AccountClaims) (made bool, err error) {
	token, err := read(f.userFile(e.AccountName(), e.Name))
	if err != nil {
		return false, err
	}
	if token == "" {
		return true, f.issue(e, account)
	}
	creds, err := read(f.Creds(e.Name))
	if err != nil || creds != "" {
		return false, err
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return false, err
	}
	key, err := f.key(user.Subject)
	if err != nil {
		return false, err
	}
	return true, f.writeCreds(e, token, key)
}

// issue makes a new user and its credentials.
func (f *Folder) issue(e Entry, account *jwt.AccountClaims) error {
	signing, err := f.key(account.Subject)
	if err != nil {
		return err
	}
	key, public, err := f.newKey(nkeys.CreateUser)
	if err != nil {
		return err
	}
	claims := jwt.NewUserClaims(public)
	claims.Name = e.Name
	token, err := claims.Encode(signing)
	if err != nil {
		return err
	}
	if err := write(f.userFile(e.AccountName(), e.Name), []byte(token)); err != nil {
		return err
	}
	return f.writeCreds(e, token, key)
}

func (f *Folder) writeCreds(e Entry, token string, key nkeys.KeyPair) error {
	seed, err := key.Seed()
	if err != nil {
		return err
	}
	creds, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		return err
	}
	return write(f.Creds(e.Name), creds)
}

// removeUsers removes all users of an account with their keys, and the credentials of the entry.
func (f *Folder) removeUsers(e Entry, users []*jwt.UserClaims) error {
	for _, user := range users {
		if err := remove(f.keyFile(user.Subject)); err != nil {
			return err
		}
	}
	if err := remove(f.Creds(e.Name)); err != nil {
		return err
	}
	return os.RemoveAll(f.store("accounts", e.AccountName(), "users"))
}
