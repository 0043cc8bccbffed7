// Package room is the vocabulary of roombus: rooms and users, the requests of clients, the
// interfaces of apps with their events and verdicts, manifests, results and errors.
//
// All data on the wire has a type in this package, with its decoding, its validation and a golden
// JSON file under testdata. The package does no I/O and makes no decision about a room: package
// room/rules does that for the room service. Authors of apps and clients need this package only.
//
// # Guarantees
//
// Decode is strict, so that a client learns of a misspelt field. DecodeLenient reads the data of
// older and newer versions. Numbers keep their notation in both. Encode and Decode never change a
// text silently.
//
// # Failure modes
//
// Input that is not valid gives an *Error of code invalid_request or too_large. Its message names
// the field and says which values are allowed.
//
// The package depends on the standard library and on go-json-experiment/json, the prototype of
// encoding/json/v2.
package room
