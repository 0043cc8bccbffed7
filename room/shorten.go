package room

import (
	"strings"
	"unicode/utf8"
)

// cut shortens a text to MaxReasonBytes.
func cut(reason string) string { return Shorten(reason, MaxReasonBytes) }

// Shorten makes a text valid UTF-8 and shortens it to that many bytes, including the mark at its end. The
// bound must be larger than the mark, which has three bytes.
func Shorten(s string, most int) string {
	const mark = "…"
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= most {
		return s
	}
	end := most - len(mark)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
