// Package linear decides whether commands on rooms were linearizable: whether everything that
// concurrent clients were answered can be explained by one order of the commands in which each
// takes effect at one instant between its being sent and its being answered.
//
// A History takes note of what clients do and see. A command that is sent again with the same id
// is one operation, from the first time it was sent until its answer. The model that the history
// is held against knows rooms, their versions and their members; porcupine does the search, one
// room at a time.
//
// Many faults leave a client without an answer. Such a command may take effect at any time until
// the end, or never. The stream of events says which of the two it was: an operation whose id is in
// it is taken to have had the result that the event tells of, at any time since it was sent;
// one whose id is not there is left out.
//
// The same goes for a command that was answered without a change, by one replica, while a try
// before it had been left unanswered: the answer must have been true at the time, but only what
// commits leaves a trace for other replicas to find, so the slow try may still be done. Requests carry a
// deadline, so that is left for a publish that was on its way at the deadline.
//
// Reads are left out too: they are those of the replica asked, at most as old as its lag.
package linear
