package policyfile

import (
	"encoding/json"
	"time"

	"github.com/roombus/roombus/room"
)

// Case is a test of a policy: an event and the expected outcome.
type Case struct {
	Name string `json:"name,omitempty"`
	// Interface may be empty if the policy has one interface.
	Interface room.Interface `json:"interface,omitempty"`
	// Event is the body of the pre-event. What it leaves out has defaults.
	Event json.RawMessage `json:"event,omitempty"`
	Time  *time.Time      `json:"time,omitempty"` // of the command
	// Params are the documents, by name.
	Params map[string]json.RawMessage `json:"params,omitempty"`
	Expect Expect                     `json:"expect"`
}

// Expect is the expected outcome of a case. Only the fields that are set are compared.
type Expect struct {
	Outcome  room.Outcome `json:"outcome,omitempty"` // allowed, denied, failed or skipped
	Rule     *int         `json:"rule,omitempty"`    // that denied or failed, from 1; 0: none
	Reason   *string      `json:"reason,omitempty"`
	Warnings *[]string    `json:"warnings,omitempty"`
	// Room has fields of the room, and Members the ids of its members, as they would be created. Both are
	// for PreRoomCreateExtend and PreRoomCreateModify. The order of members does not matter.
	Room    map[string]any `json:"room,omitempty"`
	Members *[]string      `json:"members,omitempty"`
}
