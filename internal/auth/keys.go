package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"
)

// keyFile is where nsc keeps the secret key of a public key.
func (f *Folder) keyFile(public string) string {
	return filepath.Join(f.Dir, "keys", "keys", public[:1], public[1:3], public+".nk")
}

// newKey makes a key and keeps it.
func (f *Folder) newKey(create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string, error) {
	key, err := create()
	if err != nil {
		return nil, "", err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, "", err
	}
	seed, err := key.Seed()
	if err != nil {
		return nil, "", err
	}
	return key, public, write(f.keyFile(public), seed)
}

// key returns a secret key. It returns ErrNoSigningKey if the folder does not have it.
func (f *Folder) key(public string) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(f.keyFile(public))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", f.keyFile(public), ErrNoSigningKey)
	}
	if err != nil {
		return nil, err
	}
	key, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.keyFile(public), err)
	}
	return key, nil
}
