package roomclient

import (
	"context"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// PutParam stores a named document that policies read, and returns it without its content. When it
// returns, the document is in force at every replica of the service. Errors: invalid_request; too_large;
// conflict and param_not_found if IfRevision does not hold.
func (c *Client) PutParam(ctx context.Context, r room.ParamPut) (room.Param, error) {
	return call[room.Param](ctx, c, subjects.Param(subjects.Put), r, nil)
}

// Params returns all documents that policies read, without their contents, sorted by name.
func (c *Client) Params(ctx context.Context) ([]room.Param, error) {
	return call[[]room.Param](ctx, c, subjects.Param(subjects.List), room.ParamRequest{}, nil)
}

// Param returns a document with its content. Error: param_not_found.
func (c *Client) Param(ctx context.Context, name string) (room.Param, error) {
	return call[room.Param](ctx, c, subjects.Param(subjects.Get), room.ParamRequest{Name: name}, nil)
}

// RemoveParam removes a document, also one that policies read, and returns it without its content.
// Error: param_not_found.
func (c *Client) RemoveParam(ctx context.Context, name string) (room.Param, error) {
	return call[room.Param](ctx, c, subjects.Param(subjects.Remove), room.ParamRequest{Name: name}, nil)
}
