package roomclient

import "context"

type causesKey struct{}

// WithCause returns a context for commands that other commands led to. The chain is the ids of those,
// which are the ids of their events, oldest first. Every command that a Client sends with the context
// carries it, and the room service refuses a command with more than room.MaxCauses of them. The context
// of an app's handler has one already.
func WithCause(ctx context.Context, chain ...string) context.Context {
	return context.WithValue(ctx, causesKey{}, chain)
}

func causes(ctx context.Context) []string {
	chain, _ := ctx.Value(causesKey{}).([]string)
	return chain
}
