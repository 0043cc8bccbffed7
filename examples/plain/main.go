// Command plain is an app without the SDK. It uses the wire protocol as a NATS client in any
// language would. It requires a description of new rooms, and logs joins.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const manifest = `{
	"id": "plain", "version": "1.0.0", "description": "an app without the SDK",
	"implements": ["PreRoomCreatePrevent", "PostRoomUserJoined"], "essentials": []
}`

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer nc.Close()

	// Subscribe before registering: the room service asks the app as soon as it is registered.
	if _, err := nc.QueueSubscribe("room.pre.createprevent.plain", "plain", decide); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	reply, err := nc.Request("room.app.register", []byte(manifest), 5*time.Second)
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	if refusal := reply.Header.Get("Nats-Service-Error"); refusal != "" {
		return fmt.Errorf("registering: %s", refusal)
	}
	fmt.Println("registered")

	// The room service has created the durable consumer, named after the app.
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("using JetStream: %w", err)
	}
	events, err := js.Consumer(ctx, "ROOM_EVENTS", "plain")
	if err != nil {
		return fmt.Errorf("finding the consumer: %w", err)
	}
	receiving, err := events.Consume(react)
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	<-ctx.Done()
	receiving.Drain()
	<-receiving.Closed()
	return nc.Drain()
}

// decide answers a pre-event with a verdict.
func decide(msg *nats.Msg) {
	var e struct {
		Room struct {
			Description string `json:"description"`
		} `json:"room"`
	}
	verdict := `{"verdict":"allow"}`
	if err := json.Unmarshal(msg.Data, &e); err != nil || e.Room.Description == "" {
		verdict = `{"verdict":"deny","reason":"say what the room is about"}`
	}
	if !strings.HasPrefix(msg.Reply, "_INBOX") {
		return // never answer on a subject that is no inbox
	}
	if err := msg.Respond([]byte(verdict)); err != nil {
		log.Print(err)
	}
}

// react handles a post-event. The event may be delivered more than once: its id identifies it.
func react(msg jetstream.Msg) {
	var e struct {
		Room struct {
			ID string `json:"id"`
		} `json:"room"`
		JoiningUser struct {
			ID string `json:"id"`
		} `json:"joiningUser"`
	}
	if err := json.Unmarshal(msg.Data(), &e); err != nil {
		_ = msg.Term()
		return
	}
	fmt.Printf("%s: %s joined %s\n", msg.Headers().Get("ce-id"), e.JoiningUser.ID, e.Room.ID)
	if err := msg.Ack(); err != nil {
		log.Print(err)
	}
}
