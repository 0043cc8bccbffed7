package room

import (
	"crypto/sha256"
	"encoding/hex"
)

// maxNameInID is how many bytes of the name stand in a derived id.
const maxNameInID = 31

// CommandID derives the id of a command from the id of the event that the command follows on, so
// that the command is done once although the event may be delivered more than once. The name tells
// the commands apart that follow on one event: it is a short text such as "welcome". The id is a
// token of at most MaxTokenBytes bytes, whatever the name and the event's id are:
//
//	<name, each byte that a token cannot have as _, the first 31 bytes>-<hash>
//
// where hash is the first 32 hex digits of the SHA-256 of the event's id, a zero byte and the name.
// With an empty name the id is the hash alone.
func CommandID(name, from string) string {
	sum := sha256.Sum256([]byte(from + "\x00" + name))
	hash := hex.EncodeToString(sum[:])[:MaxTokenBytes-maxNameInID-len("-")]
	if name == "" {
		return hash
	}
	start := []byte(name[:min(len(name), maxNameInID)])
	for n, c := range start {
		if !isTokenByte(c) {
			start[n] = '_'
		}
	}
	return string(start) + "-" + hash
}
