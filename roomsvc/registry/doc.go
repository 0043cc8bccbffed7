// Package registry keeps the registrations of apps, and the documents that policies read.
//
// Both are in the bucket ROOM_APPS: a registration under the id of its app, a document under param.
// and its name. A [Registry] watches the bucket, so that it knows them without asking.
// [Registry.Register] and the other changes of an app prepare its consumers, store the registration,
// and return when all replicas of the service know it. [Params.Put] and [Params.Remove] do the same
// for a document.
//
//	registry.go      what the service uses; register.go, rollback.go, settings.go and remove.go
//	                 have the changes of an app, change.go their common steps
//	params.go        the documents, and their changes
//	entries.go       what is known of the bucket, and waiting for it; entry.go is one app or document
//	bucket.go        reads and writes the bucket; value.go is what it has under a key
//	watch.go         reads the bucket and follows its changes
//	check.go         checks that the bucket is still the one that was read
//	mend.go          writes entries back that the bucket has lost
//	record.go        the record of the registry in the metadata of ROOM_EVENTS
//	recordkeeper.go  keeps the record up to date
//	consumers.go     the consumers of an app, before and after a change; ensure.go makes and updates
//	                 them, durable.go has their configurations
//	remake.go        recreates missing consumers; ackfloors.go has where they begin
//
// # Guarantees
//
// A registration or document that is stored is in force at all replicas that are in sync: the
// service decides no command before [Registry.AwaitSync] returns. No change loses an event that was due: the
// consumer of an app has the filters of a manifest before the manifest is in force, keeps its
// position, and is parked while the app has no post-interface.
//
// # When something fails
//
//   - From the loss of the connection until the bucket has been read again the registry is not in
//     sync.
//   - A bucket that was recreated, or has lost its end, gets the known registrations and documents
//     back before anything is read from it.
//   - A service that starts compares the bucket with the record, and so notices a loss while no
//     service ran.
//   - A registration or document that cannot be decoded is logged. The previous one stays.
//   - A consumer that is missing is recreated behind its last known ack floor. Without one it begins
//     with new events. Lost events are logged.
//   - A replica that does not answer holds up no change for longer than [Replicas] allows.
package registry
