// Package projection keeps the rooms of the stream ROOM_EVENTS in memory.
//
// A [Projection] reads the stream in order and applies each event to its room. Events of the
// service's own commits are applied as soon as JetStream has acknowledged them. Whichever comes
// first, the acknowledgement or the message, applies the event; the other is skipped. [Snapshots]
// stores the rooms, so that the next service reads only the events behind the snapshot.
//
//	projection.go      the rooms and how far the stream is read
//	follower.go        reads the stream; gapcheck.go checks for removed events
//	catchup.go         waits for everything that the stream has now
//	rooms.go           the state of all rooms; deletions.go lists the deleted ones
//	index.go           the live rooms in order; roomset.go has the rooms of a member
//	progress.go        how far the stream is read, and waiting for a sequence
//	queries.go         rooms and pages of members
//	list.go            pages of rooms that match a filter
//	freshness.go       waiting for a sequence that a read asks for
//	dedupe.go          the ids of recent commands
//	pendingcommits.go  the service's own events that are not acknowledged yet
//	integrity.go       messages that are damaged on disk or missing from the stream
//	snapshot.go        the format of a snapshot
//	snapshots.go       when a snapshot is written
//	snapshotstore.go   the object store that holds it
//	restore.go         starting from a snapshot
//	project.go         the projection up to a sequence, for backups
//
// # Guarantees
//
// An event is applied once, and only behind the event that it names as the previous event of its
// room. Two projections that have read the stream up to the same sequence, and dropped the same
// deleted rooms, have the same rooms and the same hash. A snapshot with the events behind it gives
// the same projection as the whole stream.
//
// A command that is sent again within [subjects.DedupeFor] is found by its id.
//
// # When something fails
//
//   - A message that is no event, or does not chain, is quarantined: logged, counted and not
//     applied. Its room goes on behind it.
//   - If the connection is lost, reading starts again behind the last sequence.
//   - If the stream was recreated, has lost its end, or lost events before they were read, the
//     projection starts over from the first message. Until it has read the stream again, queries
//     return an error of code unavailable.
//   - A snapshot that is damaged, belongs to another stream, or has rooms whose events were purged
//     is not used. Then the whole stream is read.
//   - A snapshot that cannot be written is logged. The service goes on.
package projection
