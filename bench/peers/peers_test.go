package main

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

func TestMain(m *testing.M) {
	if isApp() {
		appMain(os.Args[1:])
	}
	os.Exit(m.Run())
}

// Every peer does the work: five verdicts come back.
func TestPeersGatherEveryVerdict(t *testing.T) {
	t.Parallel()
	body, err := preEvent()
	require.NoError(t, err)
	for _, p := range peers() {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			gather, stop, err := p.Start(t.Context(), 5)
			t.Cleanup(stop)
			require.NoError(t, err)
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				verdicts, err := gather(ctx, body)
				require.NoError(t, err)
				require.Len(t, verdicts, 5)
				for _, v := range verdicts {
					require.Equal(t, room.Allow, v.Verdict)
				}
			}
		})
	}
}
