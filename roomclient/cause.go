package roomclient

import "context"

type causesKey struct{}

// WithCause returns a context for commands that are caused by other commands. The chain has the ids of
// the causes, which are also the ids of their events, oldest first. A Client sends the chain with every
// command, and the room service refuses a command with more than room.MaxCauses causes. The context of
// an app's handler already has a chain.
func WithCause(ctx context.Context, chain ...string) context.Context {
	return context.WithValue(ctx, causesKey{}, chain)
}

func causes(ctx context.Context) []string {
	chain, _ := ctx.Value(causesKey{}).([]string)
	return chain
}
