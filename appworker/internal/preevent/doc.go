// Package preevent answers the pre-events of a worker.
//
//	room.pre.<event>.<app>        one worker of the queue group: wait for a free slot, run the handler
//	room.pre.<event>.<app>.retry  every worker: run the handler if a slot is free and the event is not in
//	                              flight here, otherwise do not reply
//
// The context of a handler ends when the room service stops waiting for the verdict. An event that gets no
// free slot by then fails.
//
// # Guarantees
//
// At most Config.Concurrency handlers run at once. A worker does not decide an event twice at the same time.
// The reply to an event is a verdict or an error: 503 asks for another worker, 504 says that the handler's time
// was over, 500 is any other failure.
//
// # When something fails
//
//   - A handler hangs: the room service gets no reply, and sends a retry to all workers.
//   - All slots are taken: the worker does not reply to a retry, and another worker does.
//   - The worker stops: it answers the pre-events that it has received, then its subscriptions end.
package preevent
