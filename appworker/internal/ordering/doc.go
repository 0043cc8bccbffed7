// Package ordering keeps the post-events of each room in order, across all workers of an app.
//
// JetStream delivers the events of an app to its workers in any distribution, and redelivers them later.
// Each event names the event of its room that must be done first. Lines decide from that when an event may
// begin: they are a pure state machine of one worker, with a clock only for the limit on waiting. Peers
// exchange what the workers know.
//
// # States of an event in one worker
//
//	            Add                    may begin                End, done
//	(unknown) -------> waiting -----------------> running ----------------> done
//	   ^                 |  ^  |                     |                        |
//	   |            Drop |  |  | first of its line,  | End, not done          | SetFloor
//	   +-----------------+  |  v may not begin       |                        v
//	   ^                  blocked                    |                    (forgotten)
//	   |                                             |
//	   +---------------------------------------------+  the consumer delivers it again
//
// A line is a room, and has at most one running event. An event may begin if it is the first of its line,
// no event of the line runs, and one of these holds:
//
//   - the previous event is done, by this worker or by the report of another one (MarkDone);
//   - the ack floor of the consumer has passed the previous event (SetFloor);
//   - it is a first delivery and every earlier delivery is acknowledged (SetFloor);
//   - it has been blocked for patience, without a report that a worker holds the previous event
//     (MarkHeld). Then it begins with Unordered set.
//
// # Messages between workers
//
// A worker with a blocked line publishes a query to all workers of the app: is that event done? A worker
// that knows it as done answers so. A worker that holds the event, waiting or running, answers that too. A
// worker that does not know it as done keeps the query, and answers when it has handled the event.
//
//	worker A, blocked on 7                     worker B
//	   | -- query {room, 7} ------------------> |  7 is running
//	   | <------------- {room, 7, held: true} - |
//	   |                                        |  End(7, done)
//	   | <------------------------- {room, 7} - |
//	   |  MarkDone(7): the next event begins    |
//
// # When something fails
//
//   - A query or an answer is lost. The worker repeats its queries and refreshes the ack floor, with
//     growing waits of at most a second.
//   - A worker dies. Its events are redelivered after the ack wait, to this worker or another one. An event
//     that it had acknowledged counts as done once the ack floor has passed it.
//   - An ack is lost, and the event is redelivered to the worker that has handled it. Add returns
//     AlreadyDone. Another worker handles the event again.
//   - An event has reached its max deliveries, or is retried again and again. The ack floor stays below it.
//     Later events of its room wait for it as long as a worker holds it, and then until patience ends.
//   - An operator resets the consumer to an earlier event. Add forgets the done events from there on.
//
// # Guarantees
//
// Two events of a room never run at the same time in one worker. An event begins after the previous event of
// its room is done, unless it is Unordered or the lease of a worker on the previous event has expired.
// No event waits for ever. The memory is one entry for each event in flight, and eight bytes for each done
// event above the ack floor.
package ordering
