// Package appworker is the Go SDK for apps.
//
// An app is any value that implements one or more of the ten interfaces in interfaces.go;
// they are found by type assertion. Run connects it to the bus:
//
//	Run -- subscribe in the queue group --> register --> serve -- SIGTERM --> drain
//	         (no verdict is missed)      (until the service     (until the context  (finish what
//	                                      is there)              ends)               was begun)
//
// Pre-events arrive as requests on room.pre.<event>.<app>; each runs its handler in a
// goroutine of its own, at most Config.Concurrency at once, with a context that ends when
// the room service stops waiting. Post-events come from the app's durable consumer, at least
// once, at most Config.Concurrency at once; those of one room one after the other and in order,
// whichever of the app's workers has them, unless the manifest gives that up.
//
//	take -- its turn? --> tell -- done --> ack                    files source, lines, turn,
//	 ^     (lines, turn)    |---- failed -> nak, later and later  lease, pool, post, settle
//	 +--- leases are kept --+---- too often, or discarded -> dead letter, then ack
//
// Any number of workers of one app may run. A worker that stops takes no new pre-events,
// finishes the ones it has, and leaves the rest to the others, so that a rolling restart
// loses no verdict.
//
// # What a handler returns
//
//	pre-events    nil                       allow
//	              room.Prevented(reason)    deny a creation or deletion
//	              room.UserNotAllowed(...)  deny a join or leave
//	              ErrSkip                   not this app's business
//	              any other error, a panic  a failure: recorded, and blocking if essential
//	post-events   nil                       done
//	              RetryLater(after, err)    deliver again, not before that time
//	              Discard(err)              never deliver again: a dead letter
//	              any other error, a panic  deliver again, later and later; after as many
//	                                        attempts as the manifest says, a dead letter
//
// A handler that ignores its context goes on after the deadline; its verdict is then too
// late and is thrown away, and its place among the concurrent handlers stays taken.
package appworker
