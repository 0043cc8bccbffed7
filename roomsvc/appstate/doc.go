// Package appstate collects the state of apps, and has the requests between replicas about apps.
//
// Each replica of the service counts its own calls of an app. [Apps] answers a request for the
// state of apps with the sum over all replicas, the live workers and the backlog. Every replica
// answers the others with [Apps.Report].
//
//	appstate.go  the requests about apps
//	collect.go   asks the replicas, the workers and JetStream at the same time
//	state.go     the state of one app
//	workers.go   what the workers of an app report, and whether an app has any
//	backlog.go   the post-events and dead letters of apps
//	replica.go   what a replica answers
//	replicas.go  asks all replicas; waits until all know a change
//
// # When something fails
//
//   - A replica or a worker that does not answer is missing in the sums. [room.AppState].Replicas
//     is the number of replicas that answered.
//   - A stream of dead letters that is missing counts as empty. If JetStream does not answer, the
//     request fails.
//   - A replica that has not read the bucket in time reads it again. [Replicas.Await] waits for it
//     only for a second, and logs it then.
//
// All methods may be called concurrently.
package appstate
