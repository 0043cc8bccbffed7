package scene

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// Refused checks that a reply is an error with that code, in the headers and in the body.
func Refused(t testing.TB, reply *nats.Msg, want room.Code) room.Error {
	t.Helper()
	assert.Equal(t, strconv.Itoa(want.Status()), reply.Header.Get("Nats-Service-Error-Code"), string(reply.Data))
	assert.Contains(t, reply.Header.Get("Nats-Service-Error"), string(want))
	var e room.Error
	require.NoError(t, json.Unmarshal(reply.Data, &e))
	assert.Equal(t, want, e.Code)
	assert.NotEmpty(t, e.Message)
	return e
}

// ErrorOf returns the error of the room service that err contains.
func ErrorOf(t testing.TB, err error) *room.Error {
	t.Helper()
	var e *room.Error
	require.ErrorAs(t, err, &e)
	return e
}
