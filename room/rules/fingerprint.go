package rules

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/roombus/roombus/room"
)

// Fingerprint is a hash of the request. Two requests have the same fingerprint if they have the same
// type and all their fields are equal. The formatting of the JSON, such as the order of fields, does not
// matter.
func Fingerprint(r room.Request) string {
	body, _ := json.Marshal(r) // cannot fail: it was decoded from JSON
	sum := sha256.Sum256(append([]byte(r.Event()+" "), body...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Matches reports whether the event is the result of the request. It compares the fingerprints. For an
// event without a fingerprint it compares the type, the room and the user.
func Matches(e room.Event, r room.Request) bool {
	if e.Fingerprint != "" {
		return e.Fingerprint == Fingerprint(r)
	}
	if e.Type != r.Event() || e.Room != r.Target() {
		return false
	}
	was := e.Data.JoiningUser
	if was == nil {
		was = e.Data.LeavingUser
	}
	u := r.Subject()
	return u == nil || was != nil && was.ID == u.ID
}
