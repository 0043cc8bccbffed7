package registry

import (
	"context"

	"github.com/roombus/roombus/room"
)

// Settle settles the consumers of an app as Register does after it has stored the manifest.
func (r *Registry) Settle(ctx context.Context, m room.Manifest, revision uint64) error {
	return r.consumers.settle(ctx, m, revision)
}

// SetMost sets the bound of all documents together, in bytes.
func (p *Params) SetMost(bytes int) { p.most = bytes }
