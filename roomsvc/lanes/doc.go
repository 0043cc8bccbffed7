// Package lanes puts the commands of a room into the order in which they take effect.
//
// Each room with commands has a lane, a queue. [Lanes.Enter] gives a command a [Ticket], its place
// in the lane. [Ticket.Wait] returns when it is the command's turn. [Ticket.Leave] ends it.
//
//	lanes.go   the lanes of all rooms
//	lane.go    one lane: which ticket may begin
//	ticket.go  a command's place in its lane, and waiting for its turn
//	step.go    what the command in front waits for, for the error of a command behind it
//
// # Guarantees
//
// Tickets that would change the room take their turns one after the other, in the order of arrival.
// Any ticket waits for the earlier tickets of its own user. So a command that changes nothing does
// not wait while apps decide another user's command, and a leave does not overtake the join before
// it. No ticket waits for another room.
//
//	         Enter
//	           │
//	           ▼     its turn, and it changes nothing
//	┌────▶  waiting ────────────────────────────────────▶ passing
//	│          │                                             │
//	│          │ its turn to change the room                 │ it would change the room by now
//	│          ▼                                             │
//	│       deciding ── SendAway ──▶ away                    │
//	│                                 │                      │
//	└────────────── BringBack ────────┴──────────────────────┘
//
// A ticket may leave from each state. A ticket that waits again keeps its place in front of later
// tickets.
//
// # When something fails
//
//   - A ticket whose context ends gets an error that names the step of the command in front.
//   - If JetStream did not store the event of a command, the tickets that arrived before it ended
//     are not tried: they would fail in the same way, each after its whole time.
//   - A command that would wait for its own end, since a handler that is asked about the command in
//     front has sent it, is refused.
//   - A lane that is full refuses commands that would have to wait.
package lanes
