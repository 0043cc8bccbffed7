// Package room is the domain: what a room is, what can happen to it, what apps may say
// about it, and the three pure functions through which every change passes.
//
//	    View, Command              Draft, []Answer               State, Event
//	         |                           |                            |
//	     [ Decide ] --Draft--> ... [ Combine ] --Draft--> Event --> [ Evolve ] --> State
//	         |                           |                            |
//	possible at all? draft it     verdicts into a draft        the event applied
//
// Decide, Combine and Evolve know no context, clock, network or randomness: the same
// arguments give the same result, on every replica and on every replay. Everything that
// crosses the wire is a type of this package with a golden JSON file under testdata.
//
// The package depends on the standard library, and on what its encoding/json/v2 will be.
package room
