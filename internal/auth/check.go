package auth

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/nats-io/jwt/v2"
)

// expiresSoon is how long before their expiry credentials are reported.
const expiresSoon = 30 * 24 * time.Hour

// Check returns the problems of the folder, each with its remedy: files that others can read, credentials
// that are missing or expire.
func (f *Folder) Check(now time.Time) ([]string, error) {
	var problems []string
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	err := filepath.WalkDir(f.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 && info.Mode()&fs.ModeSymlink == 0 {
			say("%s has mode %o, so that others can use it: chmod go= %[1]s", path, mode)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries, err := f.entries()
	if err != nil {
		return nil, err
	}
	for _, e := range fixed() {
		if _, exists := find(entries, e.Name); !exists {
			say("account %s is missing: roombus auth init", e.AccountName())
		}
	}
	for _, e := range entries {
		if e.Revoked {
			continue
		}
		problem, err := f.checkEntry(e, now)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			say("%s: %s", e.Name, problem)
		}
	}
	return problems, nil
}

// checkEntry returns a problem of the entry, or "".
func (f *Folder) checkEntry(e Entry, now time.Time) (string, error) {
	claims, err := f.account(e.AccountName())
	if err != nil {
		return "", err
	}
	if claims.Issuer != f.operator.Subject && !f.operator.SigningKeys.Contains(claims.Issuer) {
		return fmt.Sprintf("account %s is signed by %s, which is no key of the operator", e.AccountName(), claims.Issuer), nil
	}
	creds, err := read(f.Creds(e.Name))
	if err != nil {
		return "", err
	}
	if creds == "" {
		return "its credentials are missing: roombus auth rotate " + e.Name, nil
	}
	token, err := jwt.ParseDecoratedJWT([]byte(creds))
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.Creds(e.Name), err)
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.Creds(e.Name), err)
	}
	switch {
	case user.Issuer != claims.Subject && user.IssuerAccount != claims.Subject:
		return fmt.Sprintf("%s is of another account: roombus auth rotate %s", f.Creds(e.Name), e.Name), nil
	case claims.Revocations.IsRevoked(user.Subject, time.Unix(user.IssuedAt, 0)):
		return fmt.Sprintf("%s is revoked: roombus auth rotate %s", f.Creds(e.Name), e.Name), nil
	case user.Expires != 0 && time.Unix(user.Expires, 0).Before(now.Add(expiresSoon)):
		return fmt.Sprintf("%s expires on %s: roombus auth rotate %s", f.Creds(e.Name), time.Unix(user.Expires, 0).UTC().Format(time.RFC3339), e.Name), nil
	}
	return "", nil
}
