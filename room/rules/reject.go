package rules

import (
	"encoding/json"

	"github.com/roombus/roombus/room"
)

// Reject returns the rejection of a command that ended in the error. It returns false if the command was
// not possible in the first place, or if the client should retry later.
func Reject(c Command, e *room.Error) (room.Rejection, bool) {
	kind := e.Rejection()
	if kind == "" {
		return room.Rejection{}, false
	}
	r := room.Rejection{
		ID: c.ID, Time: c.Time, Command: c.Request.Event().Command(), Room: c.Request.Target(), Kind: kind, Error: *e, CausedBy: c.CausedBy,
	}
	r.Error.CommandID = c.ID
	if u := c.Request.Subject(); u != nil {
		r.User = u.ID
	}
	outcomes, _ := json.Marshal(e.Apps) // cannot fail
	if body, err := json.Marshal(c.Request); err == nil && len(body) <= room.MaxRejectedRequest && (c.MaxWhole == 0 || len(body)+len(outcomes) <= c.MaxWhole) {
		r.Request = body
	}
	return r, true
}
