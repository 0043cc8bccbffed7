// Package janitor does the clean-up of a room service in the background.
//
//	janitor.go        runs the two jobs, each in a goroutine
//	retention.go      removes the histories of deleted rooms from the stream ROOM_EVENTS
//	maxdeliveries.go  writes dead letters of events that reached their max deliveries
//
// Every service runs a [Janitor]. Any number of them may work on the same streams.
//
// # Guarantees
//
// The retention removes the whole history of a room that was deleted longer ago than
// [Config].RetainDeleted, after every consumer of the stream has read it. Events of a room that was
// created again under the same id stay.
//
// An event that reaches the max deliveries of an app's consumer becomes a dead letter, also if no
// service runs at that time: the stream ROOM_GIVEN_UP keeps the server's advisory until the dead
// letter is stored.
//
// # When something fails
//
//   - If a history cannot be removed, the retention tries again after a minute.
//   - A consumer that does not answer holds back all removals, since it may have unread events.
//   - If a dead letter cannot be stored, its advisory is redelivered after 5 s.
//   - The begin and the end of a failure are logged. While NATS is unavailable nothing is logged
//     here, since the service logs that.
package janitor
