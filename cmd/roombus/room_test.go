package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/harness"
	"github.com/roombus/roombus/subjects"
)

// The service receives the command and has not answered yet.
func TestRoomCommand_InterruptedShowsItsID(t *testing.T) {
	server := harness.NewServer(t)
	nc := harness.Connect(t, server)
	for args, want := range map[string]string{
		"create":                           "roombus: interrupted; command ID may still be done; for its outcome, send it again with --id ID\n",
		"join lobby bob --id c1":           "roombus: interrupted; command c1 may still be done; for its outcome, send it again with --id c1\n",
		"delete lobby --json":              `{"message":"interrupted; command ID may still be done; for its outcome, send it again with --id ID","commandId":"ID"}` + "\n",
		"member update lobby bob --name B": "roombus: interrupted; command ID may still be done; for its outcome, send it again with --id ID\n",
		"get lobby":                        "roombus: interrupted\n",
	} {
		t.Run(args, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var id string
			sub, err := nc.Subscribe("room.svc.*", func(msg *nats.Msg) {
				id = msg.Header.Get(subjects.CommandID)
				interrupt()
			})
			require.NoError(t, err)
			defer func() { assert.NoError(t, sub.Unsubscribe()) }()
			require.NoError(t, nc.Flush())
			var stderr bytes.Buffer
			status := Run(ctx, append([]string{"room", "--nats", server.URL()}, strings.Fields(args)...), strings.NewReader(""), io.Discard, &stderr)
			assert.Equal(t, exitInterrupted, status)
			assert.Equal(t, strings.ReplaceAll(want, "ID", id), stderr.String())
		})
	}
}
