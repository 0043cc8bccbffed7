// Package room is the domain: rooms, commands, events, the verdicts of apps, and the three
// functions that every change passes through.
//
//	    View, Command              Draft, []Answer               State, Event
//	         |                           |                            |
//	     [ Decide ] --Draft--> ... [ Combine ] --Draft--> Event --> [ Evolve ] --> State
//	         |                           |                            |
//	check and draft it           merge verdicts into draft       apply the event
//
// Decide, Combine and Evolve are deterministic and do no I/O: the same arguments give the same
// result, on every replica and on every replay. Combine also writes failures into its answers, and
// Evolve changes the state in place. All data on the wire has a type in this package with a golden
// JSON file under testdata.
//
// The package depends on the standard library and on go-json-experiment/json, the prototype of
// encoding/json/v2.
package room
