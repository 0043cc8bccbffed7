package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roombus/roombus/internal/harness"
)

func TestServe_LogFlagsOverrideEnvironment(t *testing.T) {
	t.Setenv("ROOMBUS_LOG", "json")
	t.Setenv("ROOMBUS_LOG_LEVEL", "debug")
	for flags, first := range map[string]string{
		"":                                  `(?m)^\{"time":"[^"]+","level":"DEBUG","msg":"Starting nats-server"`,
		"--log-json=false --log-level info": `(?m)^time=\S+ level=INFO msg="embedded NATS server started"`,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		stderr := harness.NewOutput()
		args := append([]string{"serve", "--listen", "127.0.0.1:0", "--store-dir", t.TempDir()}, strings.Fields(flags)...)
		ended := make(chan int)
		go func() { ended <- Run(ctx, args, strings.NewReader(""), io.Discard, stderr) }()
		stderr.Await(t, first)
		cancel()
		<-ended
	}
}

func TestServe_FailureIsLoggedInTheFormOfTheLog(t *testing.T) {
	t.Setenv("ROOMBUS_LOG", "json")
	const unreachable = "serve --nats nats://127.0.0.1:1"
	for args, last := range map[string]string{
		unreachable:                                `^\{"time":"\S+","level":"ERROR","msg":"serve failed","error":"cannot reach NATS at .*"\}$`,
		unreachable + " --log-json=false":          `^roombus: cannot reach NATS at .*$`,
		"serve --budget 1ms":                       `^\{"time":"\S+","level":"ERROR","msg":"serve failed","error":"--budget must be .*"\}$`,
		"serve --log-level trace":                  `^\{.*for \\"--log-level\\" flag: it must be debug, info, warn or error .*\}$`,
		"room get lobby --nats nats://127.0.0.1:1": `^roombus: cannot reach NATS at .*$`,
	} {
		var stderr bytes.Buffer
		assert.NotZero(t, Run(t.Context(), strings.Fields(args), strings.NewReader(""), io.Discard, &stderr))
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		assert.Regexp(t, last, lines[len(lines)-1], args)
	}
}

func TestServe_InterruptedAtItsStartIsNoFailure(t *testing.T) {
	t.Setenv("ROOMBUS_LOG", "json")
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var stderr bytes.Buffer
	assert.Equal(t, exitInterrupted, Run(ctx, []string{"serve", "--nats", "nats://127.0.0.1:1"}, strings.NewReader(""), io.Discard, &stderr))
	assert.Regexp(t, `\{"time":"\S+","level":"INFO","msg":"interrupted"\}\n$`, stderr.String())
}
