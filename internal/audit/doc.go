// Package audit finds what the streams remember of one command: the event that it made, and the
// rejections before and after, for a command may be sent more than once.
//
// A stream has no index by id, so it is read through, headers only; the few messages that carry
// the id are then fetched whole. A UUIDv7, as clients make them, says itself when its command
// was begun, so that only what was stored since has to be read.
//
// What is found is what is there: rejections are kept for a while only, and written as well as
// can be; a command that changed nothing, or was not possible, leaves no trace.
package audit
