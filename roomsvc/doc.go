// Package roomsvc is the room service: it owns rooms and their members.
//
// A command flows through the files of this package in this order:
//
//	endpoints.go   what can be asked for; admit, and the reply
//	arrival.go     decode, validate, and give a place in the order of arrival
//	turns.go       commands of one room go one after the other, those of one user too
//	handle.go      the five steps:
//	  load.go        1 load     the room as the projection has it
//	  (room)         2 decide   is the command possible at all?
//	  gather.go      3 gather   pre-events out, verdicts in: verdict.go reads them
//	  (room)         4 combine  verdicts into a decision
//	  commit.go      5 commit   publish the post-event, guarded
//	confirm.go     or, with nothing to commit, ask the leader whether that is still so
//	attempts.go    when to go to step 1 again, and when to give up
//	handover.go    another replica has the room's commands for now
//	undecided.go   another replica is deciding an earlier command of the user
//
// Beside it run:
//
//	follow.go      the stream flows into projection.go, minding its gaps.go; recent.go knows
//	               the latest commands, ours.go what this service wrote itself; damage.go sees
//	               what the disk has lost of it
//	snapshots.go   the projection is kept, as a snapshot.go, in the snapshotstore.go; restore.go
//	               begins with it
//	retain.go      the histories of rooms leave the stream long after their deletions.go
//	register.go    apps come in, and operators decide: bucket.go keeps it, watch.go and apps.go
//	               know it from there; durable.go is what apps consume, replica.go what the
//	               other replicas know
//	rounds.go      who is asked when, for how long; a contact.go is one app and interface,
//	               with its circuit.go, failurerun.go and figures.go
//	appstate.go    how the apps are doing
//	rejections.go  what did not happen is put down, as well as can be
//	queries.go     get, list, members, served from the projection, in the freshness.go asked for
//	provision.go   what the service needs in JetStream is there, as streams.go has it
//
// # Guarantees
//
// There is no database beside the stream ROOM_EVENTS. A change is one publish that JetStream
// accepts only if the room has not moved since the decision, so that no crash loses, halves
// or doubles it. Nothing is acknowledged to a client before JetStream has acknowledged it,
// and what changes nothing is only said after the stream's leader has been asked whether the
// room is still as it was. Any number of services may run on one NATS.
//
// # When something fails
//
//   - An app that is late, gone or broken is recorded so and passed over, unless it is
//     essential: then the command fails with essential_app_unavailable. One that keeps
//     failing is not asked for a while.
//   - A commit without an answer is looked for in the stream by its command's id before
//     anything else is said.
//   - Rejections that cannot be written to ROOM_REJECTIONS, for whatever reason, are dropped
//     and counted; no command waits for one or fails for one.
//   - A snapshot that cannot be written or used is logged; then the next start reads more of the
//     stream.
//   - A message of the stream that does not chain, or is no event, is quarantined: logged,
//     counted and not applied. The room goes on behind it.
package roomsvc
