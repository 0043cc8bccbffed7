// Package linear decides whether commands on rooms were linearizable: whether one order of the
// commands
// explains every answer that concurrent clients got. In that order each command takes effect at one
// instant
// between its request and its answer.
//
// A History records the commands and answers of the clients. A command that is sent again with the
// same id is
// one operation, from the first request until its answer. The model knows rooms, their versions and
// their
// members. Porcupine searches for the order, one room at a time.
//
// Many faults leave a client without an answer. Such a command may take effect at any time until
// the end, or
// never. The stream of events decides which. If the stream has an event with the command's id, the
// operation
// gets the result in that event, at any time since it was sent. Otherwise the operation is left
// out.
//
// A similar case is a command that one replica answered without a change, after an earlier try got
// no answer.
// The answer must have been true at that time. But an answer without a commit leaves no trace for
// other
// replicas, so the slow try may still commit. Requests carry a deadline, so this only happens to a
// publish
// that was in flight at the deadline.
//
// Reads are left out too: a read returns the state of one replica, which may lag.
package linear
