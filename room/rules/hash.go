package rules

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/roombus/roombus/room"
)

// Hash returns a hash to compare states, of two replicas or of a snapshot and the decoded snapshot. It
// covers the whole state except for the times of events: the time of a deletion is purged with the
// history, and older snapshots lack the time of the last event. It is 0 for a room without messages.
// Its cost does not depend on the number of members, because the state maintains the sum of the hashes
// of the record and the members.
func (s *State) Hash(roomID string) uint64 {
	if s.Seq == 0 {
		return 0
	}
	var buf [128]byte
	b := binary.BigEndian.AppendUint64(buf[:0], s.content)
	for _, n := range s.numbers() {
		b = binary.BigEndian.AppendUint64(b, *n)
	}
	if s.isUpdated() { // otherwise the hash is that of versions without updates
		for _, n := range s.updates() {
			b = binary.BigEndian.AppendUint64(b, *n)
		}
	}
	if s.Room != nil {
		b = binary.BigEndian.AppendUint64(b, s.Room.Version)
	}
	return hashOf(append(b, roomID...))
}

func (m member) hash() uint64 { return hashOf([]byte(m)) }

// hashRecord omits the fields that change with every event. Hash adds the version; the hashes of the
// members cover the number of members.
func hashRecord(r room.Room) uint64 {
	record, _ := appendRecord(nil, r) // cannot fail: its objects were decoded from JSON
	return hashOf(record)
}

func hashOf(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}
