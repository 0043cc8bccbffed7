package rules

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/roombus/roombus/room"
)

// member is an encoded user: the id and, if the user has more fields, a zero byte and the other
// fields. Ids have no control characters, so the order of members is the order of their ids. A
// service holds millions of members and reads few of them, so a member is decoded when it is read.
type member string

// newMember encodes a user. It returns an error if the id is not valid.
func newMember(u room.User) (member, error) {
	if err := u.Validate("user"); err != nil {
		return "", err
	}
	if u.Username == "" && u.Name == "" && len(u.Roles) == 0 && len(u.Attributes) == 0 {
		return member(strings.Clone(u.ID)), nil
	}
	m, err := appendUser(append([]byte(u.ID), 0), u)
	if err != nil {
		return "", fmt.Errorf("encoding user %q: %w", u.ID, err)
	}
	return member(m), nil
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
	return strings.Compare(string(m), id) // the zero byte sorts before every byte of an id
}

func (m member) user() room.User {
	id, rest, more := strings.Cut(string(m), "\x00")
	u := room.User{ID: id}
	if more {
		_ = decodeUser([]byte(rest), &u) // cannot fail: newMember encoded it
	}
	return u
}

// appendUser appends a user without the id.
func appendUser(b []byte, u room.User) ([]byte, error) {
	b = appendText(appendText(b, u.Username), u.Name)
	b = binary.AppendUvarint(b, uint64(len(u.Roles)))
	for _, role := range u.Roles {
		b = appendText(b, role)
	}
	return appendObject(b, u.Attributes)
}

// decodeUser decodes the output of appendUser into u.
func decodeUser(data []byte, u *room.User) (err error) {
	d := decoder{rest: data}
	u.Username, u.Name = string(d.text()), string(d.text())
	for n := d.number(); n > 0 && !d.short; n-- {
		u.Roles = append(u.Roles, string(d.text()))
	}
	if u.Attributes, err = d.object(); err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	return d.end()
}
