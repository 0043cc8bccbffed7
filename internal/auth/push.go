package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// answerTime is how long a server may take to answer about claims.
const answerTime = 5 * time.Second

// Push sends the claims of an account to the servers, on a connection of the system account. They are in
// force when it returns, on the server of the connection; the servers of its cluster get them at the same
// time. It returns ErrNotOperated or a *RefusedError if the server does not take them.
func (f *Folder) Push(ctx context.Context, nc *nats.Conn, e Entry) error {
	token, err := read(f.accountFile(e.AccountName()))
	if err != nil {
		return err
	}
	reply, err := request(ctx, nc, "$SYS.REQ.CLAIMS.UPDATE", []byte(token))
	if err != nil {
		return err
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return fmt.Errorf("reading the answer of the server: %w", err)
	}
	if answer.Error != nil {
		return &RefusedError{Account: e.AccountName(), Reason: answer.Error.Description}
	}
	return nil
}

// lookup returns the claims that the servers have of an account, or "".
func lookup(ctx context.Context, nc *nats.Conn, key string) (string, error) {
	reply, err := request(ctx, nc, "$SYS.REQ.ACCOUNT."+key+".CLAIMS.LOOKUP", nil)
	return string(reply), err
}

func request(ctx context.Context, nc *nats.Conn, subject string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	reply, err := nc.RequestWithContext(ctx, subject, body)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil, ErrNotOperated
	}
	if err != nil {
		return nil, fmt.Errorf("asking the server about claims: %w", err)
	}
	return reply.Data, nil
}
