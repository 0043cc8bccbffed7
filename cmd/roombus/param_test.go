package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A document that is not JSON is not sent: there is no server to send it to. The error has the
// position.
func TestParamPut_NotJSON(t *testing.T) {
	t.Parallel()
	for document, says := range map[string]string{
		"{\n  \"ids\": [\"é\", x]\n}": "standard input is not JSON: line 2, column 16: invalid character 'x'",
		"{\"ids\": [\n":               "standard input is not JSON: line 2, column 1: it ends too early",
		"":                            "standard input is not JSON: line 1, column 1: it ends too early",
		"{}\n{}":                      "standard input is not JSON: line 2, column 1: invalid character '{'",
		"{\"a\": 1, \"a\": 2}":        "standard input is not JSON: line 1, column 10: duplicate object member name",
		`"\ud83d"`:                    "standard input is not JSON: line 1, column 2: invalid surrogate pair",
	} {
		var stderr bytes.Buffer
		args := []string{"param", "put", "bans", "-", "--nats", "nats://127.0.0.1:1"}
		assert.Equal(t, exitUsage, Run(t.Context(), args, strings.NewReader(document), io.Discard, &stderr), document)
		assert.Contains(t, stderr.String(), says)
	}
}

func TestParamPut_Refused(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"9lives": "invalid_request: name must be 1 to 64 of the characters",
		"bans":   "too_large: document has 1048577 bytes; at most 1048576 are allowed",
	} {
		var stderr bytes.Buffer
		document := `"` + strings.Repeat("x", 1<<20-1) + `"`
		args := []string{"param", "put", name, "-", "--nats", "nats://127.0.0.1:1"}
		assert.Equal(t, exitUsage, Run(t.Context(), args, strings.NewReader(document), io.Discard, &stderr), name)
		assert.Contains(t, stderr.String(), says)
	}
}
