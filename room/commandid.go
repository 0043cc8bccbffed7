package room

import (
	"crypto/sha256"
	"encoding/hex"
)

// maxNameInID is the number of bytes of the name in a derived id.
const maxNameInID = 31

// CommandID derives the id of a command from the id of the event that causes the command. The command is
// then executed once, although the event may be delivered more than once. The name is a short text such
// as "welcome"; it distinguishes the commands caused by one event. For any name and event id, the result
// is a token of at most MaxTokenBytes bytes:
//
//	<first 31 bytes of the name, with invalid token bytes replaced by _>-<hash>
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
