package bus

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Failure returns a reply with the error headers of the micro protocol.
func Failure(status int, description string, body []byte) *nats.Msg {
	return &nats.Msg{
		Header: nats.Header{
			micro.ErrorCodeHeader: {strconv.Itoa(status)},
			micro.ErrorHeader:     {OneLine(description)},
		},
		Data: body,
	}
}

// OneLine joins the lines of a text: a header value cannot contain a line break.
func OneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
