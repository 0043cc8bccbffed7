// Package consumer handles the post-events of a worker: it pulls them from the app's durable consumers,
// keeps the lease on each while it waits and is handled, runs the handler, and acknowledges.
//
//	receive --> bind --> pull --> add --> begin --> run --> handle --> end
//	  |          |        |        |        |                 |
//	  |          |        |        |        |                 +- decideAck --> ack, nak, or dead letter and term
//	  |          |        |        |        +- pool: at most Concurrency handlers at once
//	  |          |        |        +- ordering: may the event begin?
//	  |          |        +- up to Concurrency events are prefetched
//	  |          +- the filters, the ack wait and the ack floor of the consumer; starts keepLeases
//	  +- if the consumer is missing: App.Restore, then bind again
//
// There are two sources: the stream of events, in order of rooms unless the manifest sets Unordered, and the
// stream of replayed dead letters, in any order. They share the pool and the statistics.
//
// # Leases
//
// JetStream redelivers an event that is not acknowledged within the ack wait. The lease of a worker on an
// event is a little shorter. keepLeases renews it with progress acks while the event waits or is handled. When
// it expires, the handler's context ends, a failure of the handler is discarded and the event is not
// acknowledged: another worker may own it. A worker does not renew an event whose handler runs on after its
// deadline.
//
// # Guarantees
//
// An event is acknowledged after its handler has returned nil, or after its dead letter is stored. Until then
// it is redelivered, to this worker or another one. So an event is handled at least once, or is a dead letter.
//
// # When something fails
//
//   - The connection or JetStream is down: receive logs it once and binds again. Events that have begun go on.
//   - A dead letter cannot be stored: the worker retries until the lease expires. Then the event is
//     redelivered, or the room service writes the dead letter after the last delivery.
//   - An ack, a nak or a progress ack is lost: the event is redelivered after the ack wait.
//   - A handler panics or ends its goroutine: the event counts as failed, or is redelivered.
//   - The worker does not implement the event's interface: the event is passed over if the registered version
//     does not either, and otherwise retried on other workers.
package consumer
