// Package health watches whether a room service can commit, and logs outages of JetStream.
//
//	health.go         what the service gives to [Health], and its goroutines
//	readiness.go      what determines the [Readiness]; it is reported and logged when it changes
//	look.go           checks NATS for what a commit depends on
//	outages.go        records whether JetStream answers and the stream of events can be read
//	missingevents.go  checks whether the stream has all events of the live rooms
//
// The service tells what it has found: it has started, a commit has failed, the leader did not
// answer a command. As an observer of the projection, [Health] knows how reading the stream goes.
// [Health.Run] checks the rest periodically.
//
// # Guarantees
//
// An outage has one log line when it begins, a few while it lasts, and one when it ends
// (bus.Outage). The other components ask [Health.IsUnavailable], and do not log errors that follow
// from an outage.
//
// # When something fails
//
//   - A commit that failed makes the service unready until one succeeds, for 15 s at most: a service
//     that is not ready may get no commands.
//   - If the leader of the stream does not answer a command, it is asked every second until it
//     answers.
//   - If the storage of the account or the events of the stream cannot be looked at, the last result
//     holds.
package health
