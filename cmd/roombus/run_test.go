package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunInProcess(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Zero(t, Run(t.Context(), []string{"demo", "--json"}, strings.NewReader(""), &stdout, &stderr))
	assert.Empty(t, stderr.String())
	for line := range strings.Lines(stdout.String()) {
		assert.True(t, json.Valid([]byte(line)), line)
	}
	assert.Equal(t, exitUsage, Run(t.Context(), []string{"dmeo"}, strings.NewReader(""), &stdout, &stderr))
	assert.Equal(t, "roombus: there is no command \"dmeo\": is it demo? (see roombus --help)\n", stderr.String())
}

func TestDemo_InterruptedLeavesNoFiles(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	cancel()
	assert.Equal(t, exitInterrupted, Run(ctx, []string{"demo"}, strings.NewReader(""), &stdout, &stderr))
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestExitStatuses(t *testing.T) {
	t.Parallel()
	coded := func(c room.Code) error { return fmt.Errorf("wrapped: %w", &room.Error{Code: c}) }
	for status, errs := range map[int][]error{
		exitDone:        {nil},
		exitFailed:      {errors.New("other"), coded("from a newer service"), embedded.ErrStoreLocked, &bus.StreamDiffersError{}},
		exitUsage:       {&usageError{"m"}, coded(room.CodeInvalidRequest), coded(room.CodeTooLarge)},
		exitDenied:      {coded(room.CodePrevented), coded(room.CodeUserNotAllowed)},
		exitNotFound:    {coded(room.CodeRoomNotFound), coded(room.CodeAppNotFound), coded(room.CodeParamNotFound)},
		exitUnavailable: {coded(room.CodeUnavailable), coded(room.CodeOverloaded), coded(room.CodeEssentialAppUnavailable), coded(room.CodeDeadlineExceeded), bus.ErrUnreachable, bus.ErrNoJetStream, jetstream.ErrStreamNotFound},
		exitConflict:    {coded(room.CodeConflict), coded(room.CodeRoomExists)},
		exitInterrupted: {fmt.Errorf("wrapped: %w", context.Canceled)},
	} {
		for _, err := range errs {
			assert.Equal(t, status, exitStatus(err), err)
		}
	}
}

func TestInOneLine(t *testing.T) {
	t.Parallel()
	err := errors.Join(bus.ErrServerTooOld, errors.New("and\nmore"))
	assert.Equal(t, "the NATS server is too old; and; more; upgrade it", inOneLine(err))
	err = &jetstream.APIError{Code: 503, Description: "no leader"}
	assert.Contains(t, inOneLine(err), "look at /healthz of each node, or with a system account at nats server report jetstream", "node.conf has none")
}

func TestAge_LargestUnit(t *testing.T) {
	t.Parallel()
	for shown, d := range map[string]time.Duration{
		"0s": -time.Second, "59s": time.Minute - 1, "3m": 3*time.Minute + 59*time.Second, "23h": 24*time.Hour - 1, "400d": 400 * 24 * time.Hour,
	} {
		assert.Equal(t, shown, age(d))
	}
}

func TestUsage_ExtraArgumentNamesTheRightPlace(t *testing.T) {
	t.Parallel()
	for command, says := range map[string]string{
		"events lobby":     `there is an argument too many: "lobby"; choose a room with --room (see roombus events --help)`,
		"rejections lobby": "choose a room with --room, an app with --app",
		"dead ls guard":    "choose with --app, --event or --room",
		"app ls guard":     "roombus app info APP shows one app",
		"param ls bans":    "roombus param get NAME prints one document",
		"room ls lobby":    "roombus room get ROOM shows one room",
		"serve nats://x":   "give the NATS server with --nats",
		"bench nats://x":   "give the NATS server with --nats",
	} {
		var stderr bytes.Buffer
		assert.Equal(t, exitUsage, Run(t.Context(), strings.Fields(command), strings.NewReader(""), io.Discard, &stderr), command)
		assert.Contains(t, stderr.String(), says)
	}
}

func TestReport_InterruptedCommandShowsNoVerdicts(t *testing.T) {
	t.Parallel()
	denied := &room.Error{Code: room.CodePrevented, CommandID: "id", Apps: []room.AppOutcome{{App: "guard", Outcome: room.Denied}}}
	var stderr strings.Builder
	report(&stderr, errors.Join(context.Canceled, denied), &cobra.Command{})
	assert.Equal(t, "roombus: interrupted\n", stderr.String())
}
