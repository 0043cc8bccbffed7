package main

import (
	"errors"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/requestreply"
	"github.com/ThreeDotsLabs/watermill/message"
)

// command is a pre-event in the form of Watermill's command bus.
type command struct{ body []byte }

// commandMarshaler passes bodies through unchanged, because they are JSON already.
type commandMarshaler struct{}

const commandName = "userjoin"

func (commandMarshaler) Marshal(v any) (*message.Message, error) {
	return message.NewMessage(watermill.NewUUID(), v.(*command).body), nil
}

func (commandMarshaler) Unmarshal(msg *message.Message, v any) error {
	v.(*command).body = msg.Payload
	return nil
}

func (commandMarshaler) Name(any) string { return commandName }

func (commandMarshaler) NameFromMessage(*message.Message) string { return commandName }

// replyMarshaler passes verdicts through unchanged, and failures in a header.
type replyMarshaler struct{}

func (replyMarshaler) MarshalReply(p requestreply.BackendOnCommandProcessedParams[[]byte]) (*message.Message, error) {
	msg := message.NewMessage(watermill.NewUUID(), p.HandlerResult)
	if p.HandleErr != nil {
		msg.Metadata.Set(requestreply.ErrorMetadataKey, p.HandleErr.Error())
	}
	return msg, nil
}

func (replyMarshaler) UnmarshalReply(msg *message.Message) (requestreply.Reply[[]byte], error) {
	r := requestreply.Reply[[]byte]{HandlerResult: msg.Payload}
	if failure := msg.Metadata.Get(requestreply.ErrorMetadataKey); failure != "" {
		r.Error = errors.New(failure)
	}
	return r, nil
}
