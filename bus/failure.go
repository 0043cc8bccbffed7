package bus

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Failure is the answer that says in the headers of the micro protocol that something went
// wrong.
func Failure(status int, description string, body []byte) *nats.Msg {
	return &nats.Msg{
		Header: nats.Header{
			micro.ErrorCodeHeader: {strconv.Itoa(status)},
			micro.ErrorHeader:     {OneLine(description)},
		},
		Data: body,
	}
}

// OneLine makes a line of a text: a header ends at the end of a line.
func OneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
