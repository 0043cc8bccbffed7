package roomclient

import "context"

type causesKey struct{}

// WithCause returns a context whose commands say what caused them: the ids of the commands, which
// are those of their events, that led to them, the oldest first. The room service refuses a command
// with more than room.MaxCauses of them. The handlers of an app have such a context.
func WithCause(ctx context.Context, chain ...string) context.Context {
	return context.WithValue(ctx, causesKey{}, chain)
}

func causes(ctx context.Context) []string {
	chain, _ := ctx.Value(causesKey{}).([]string)
	return chain
}
