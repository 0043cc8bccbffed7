package room

// MaxTokenBytes bounds an app, room or event id.
const MaxTokenBytes = 64

// ValidateToken returns an error of code invalid_request unless id can be one token of a
// subject: 1 to 64 of the characters A-Z, a-z, 0-9, '_' and '-'. field names it in the error.
func ValidateToken(field, id string) error {
	if id == "" {
		return invalid("%s is required", field)
	}
	if !IsToken(id) {
		return invalid("%s must be 1 to %d of the characters A-Z a-z 0-9 _ -, not %.80q", field, MaxTokenBytes, id)
	}
	return nil
}

// IsToken reports whether id can be an app, room or event id.
func IsToken(id string) bool {
	if id == "" || len(id) > MaxTokenBytes {
		return false
	}
	for i := range len(id) {
		if !isTokenByte(id[i]) {
			return false
		}
	}
	return true
}

func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
