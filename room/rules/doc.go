// Package rules decides how rooms change. The room service and the tools that replay the stream of
// events use it. Every change passes through three functions:
//
//	    View, Command              Draft, []Answer               State, Event
//	         |                           |                            |
//	     [ Decide ] --Draft--> ... [ Combine ] --Draft--> Event --> [ Evolve ] --> State
//	         |                           |                            |
//	check and draft it           merge verdicts into draft       apply the event
//
// # Guarantees
//
// The package does no I/O and reads no clock: the same arguments give the same result, on every
// replica and on every replay. Decide and Combine change none of their arguments. Evolve changes
// the state in place, so that an event of a large room costs little; the state must not be used
// concurrently.
//
// The encoding of a state is that of the snapshots. A later version decodes the encodings of
// earlier ones. Hash compares states without comparing their members one by one.
//
// # Failure modes
//
// Decide and Combine return an *room.Error, as it is sent to the client. Evolve returns an error and
// leaves the state unchanged if the event cannot follow: its guard, its version or its content does
// not fit the state. DecodeState returns an error for bytes that are not the encoding of a state. It
// does not detect all damage; compare hashes for that.
//
// The package depends on the standard library and on package room.
package rules
