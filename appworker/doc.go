// Package appworker is the Go SDK for apps.
//
// An app is any value that implements one or more of the interfaces in interfaces.go, or a
// Handlers, which has a function for each. Run finds the interfaces by type assertion and connects
// the app to the bus:
//
//	Run -- subscribe in the queue group --> register --> serve -- SIGTERM --> drain
//	         (no verdict is missed)      (until the service     (until the context  (wait for
//	                                      answers)               ends)               handlers)
//
// Pre-events arrive as requests on room.pre.<event>.<app>. Each handler runs in a separate
// goroutine, at most Config.Concurrency at once, with a context that ends when the room service
// stops waiting. Post-events are delivered by the app's durable consumer at least once. At most
// Config.Concurrency handlers run at once. The events of one room are handled one after the
// other and in order, across all workers of the app, unless the manifest sets Unordered.
//
//	add -- may begin? ----> handler -- done --> ack
//	 ^     (ordering)       |---- failed -> nak with backoff
//	 +--- leases are kept --+---- max attempts, or discarded -> dead letter, then term
//
// The machinery is in internal packages: preevent answers pre-events, consumer delivers post-events,
// ordering keeps the events of a room in order, and running keeps the set of running handlers.
//
// Any number of workers of one app may run. A worker that stops receives no new pre-events,
// finishes the running handlers, and leaves the remaining events to other workers. A rolling
// restart therefore loses no verdict.
//
// # What a handler returns
//
//	pre-events    nil                       allow
//	              room.Prevented(reason)    deny a creation, update or deletion
//	              room.UserNotAllowed(...)  deny a join or leave
//	              ErrSkip                   not this app's business
//	              any other error, a panic  a failure: recorded, and blocking if essential
//	post-events   nil                       done
//	              RetryLater(after, err)    redeliver, not before that delay has passed
//	              Discard(err)              never redeliver: a dead letter
//	              any other error, a panic  redeliver with backoff; a dead letter after the
//	                                        maximum number of attempts of the manifest
//
// A handler that ignores its context continues after the deadline. Its verdict is then late
// and is discarded, and it still counts towards Config.Concurrency.
package appworker
