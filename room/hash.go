package room

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash tells states apart: that of two replicas, or of a snapshot and what was read from it. It
// covers all there is of the room of that id but times of events: those of a deletion are forgotten
// with the history before it, and older snapshots lack that of the last event. It is 0 for a room
// of which there is nothing. It takes the same time whatever the number of members, for what the
// record and the members add to it is kept up as they change: the sum of their hashes.
func (s *State) Hash(roomID string) uint64 {
	if s.Seq == 0 {
		return 0
	}
	var buf [128]byte
	b := binary.BigEndian.AppendUint64(buf[:0], s.content)
	for _, n := range s.numbers() {
		b = binary.BigEndian.AppendUint64(b, *n)
	}
	if s.Room != nil {
		b = binary.BigEndian.AppendUint64(b, s.Room.Version)
	}
	return hashOf(append(b, roomID...))
}

func (m member) hash() uint64 { return hashOf([]byte(m)) }

// hashRecord leaves out what changes with every event: Hash takes the version from the record, the
// number of members is that of the members.
func hashRecord(r Room) uint64 {
	record, _ := appendRecord(nil, r) // its objects came as JSON
	return hashOf(record)
}

func hashOf(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}
