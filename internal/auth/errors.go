package auth

import (
	"errors"
	"fmt"
)

var (
	// ErrNoFolder is returned when the folder has no operator.
	ErrNoFolder = errors.New("no operator in this folder")
	// ErrNameTaken is returned when an account of another kind has the name.
	ErrNameTaken = errors.New("name is taken")
	// ErrUnknownName is returned when nothing in the folder has the name.
	ErrUnknownName = errors.New("unknown name")
	// ErrNoSigningKey is returned when a change needs a secret key that is not in the folder.
	ErrNoSigningKey = errors.New("secret key is missing")
	// ErrIndispensable is returned when credentials can be rotated, but not revoked.
	ErrIndispensable = errors.New("the deployment cannot run without it")
	// ErrNotOperated is returned when a server has no resolver that takes claims: it does not run in
	// operator mode.
	ErrNotOperated = errors.New("the NATS server takes no claims")
)

// RefusedError is returned when a server refuses the claims of an account.
type RefusedError struct {
	Account string // its name
	Reason  string // given by the server
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the NATS server refuses the claims of account %s: %s", e.Account, e.Reason)
}
