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

// Push sends the claims of those accounts to the servers that differ there, on a connection of the system
// account, and returns the names of their entries. The claims are in force when it returns, on the server
// of the connection; the servers of its cluster get them at the same time. It returns ErrNotOperated or a
// *RefusedError if the server does not take them.
func (f *Folder) Push(ctx context.Context, nc *nats.Conn, entries ...Entry) (pushed []string, err error) {
	differ, err := f.Compare(ctx, nc, entries...)
	if err != nil {
		return nil, err
	}
	for _, e := range differ {
		if err := f.push(ctx, nc, e); err != nil {
			return pushed, err
		}
		pushed = append(pushed, e.Name)
	}
	return pushed, nil
}

// Compare returns the entries whose claims on the servers differ from those in the folder, on a connection
// of the system account.
func (f *Folder) Compare(ctx context.Context, nc *nats.Conn, entries ...Entry) ([]Entry, error) {
	var differ []Entry
	for _, e := range entries {
		ours, err := read(f.accountFile(e.AccountName()))
		if err != nil {
			return nil, err
		}
		theirs, err := request(ctx, nc, "$SYS.REQ.ACCOUNT."+e.Key+".CLAIMS.LOOKUP", nil)
		if err != nil {
			return nil, err
		}
		if ours != string(theirs) {
			differ = append(differ, e)
		}
	}
	return differ, nil
}

func (f *Folder) push(ctx context.Context, nc *nats.Conn, e Entry) error {
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
