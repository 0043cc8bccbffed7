package room

import (
	"encoding/json"
	"fmt"
	"strings"
)

// member is a user in few bytes: the id, and if there is more than that, a zero byte and the
// user without the id as JSON. Ids have no control characters, so that members are in order
// when their ids are. There are millions of them and few are looked at, so that one is decoded
// when it is.
type member string

// newMember returns an error if the user could not be told from another.
func newMember(u User) (member, error) {
	id := u.ID
	if err := u.Validate("user"); err != nil {
		return "", err
	}
	if u.Username == "" && u.Name == "" && len(u.Roles) == 0 && len(u.Attributes) == 0 {
		return member(strings.Clone(id)), nil
	}
	rest := u
	rest.ID = ""
	more, err := json.Marshal(&rest)
	if err != nil {
		return "", fmt.Errorf("encoding user %q: %w", id, err)
	}
	return member(id + "\x00" + string(more)), nil
}

func (m member) id() string {
	id, _, _ := strings.Cut(string(m), "\x00")
	return id
}

// compare orders the member and a user's id.
func (m member) compare(id string) int {
	if strings.HasPrefix(string(m), id) && (len(m) == len(id) || m[len(id)] == 0) {
		return 0
	}
	return strings.Compare(string(m), id) // the zero byte comes before all there are in ids
}

func (m member) user() User {
	id, rest, more := strings.Cut(string(m), "\x00")
	var u User
	if more {
		_ = DecodeLenient([]byte(rest), &u) // newMember has made it
	}
	u.ID = id
	return u
}
