// Package registry keeps the registrations of apps.
//
// The registrations are in the bucket ROOM_APPS. A [Registry] watches the bucket, so that it knows
// them without asking. [Registry.Register] and the other changes prepare the consumers of the app,
// store the registration, and return when all replicas of the service know it.
//
//	registry.go      what the service uses; register.go, rollback.go, settings.go and remove.go
//	                 have the changes, change.go their common steps
//	entries.go       what is known of the bucket, and waiting for it; entry.go is one app
//	bucket.go        reads and writes the bucket; value.go is what it has of an app
//	watch.go         reads the bucket and follows its changes
//	check.go         checks that the bucket is still the one that was read
//	mend.go          writes registrations back that the bucket has lost
//	record.go        the record of the registry in the metadata of ROOM_EVENTS
//	recordkeeper.go  keeps the record up to date
//	consumers.go     the consumers of an app, before and after a change; ensure.go makes and updates
//	                 them, durable.go has their configurations
//	remake.go        recreates missing consumers; ackfloors.go has where they begin
//
// # Guarantees
//
// A registration that is stored is in force at all replicas that are in sync: the service decides
// no command before [Registry.AwaitSync] returns. No change loses an event that was due: the
// consumer of an app has the filters of a manifest before the manifest is in force, keeps its
// position, and is parked while the app has no post-interface.
//
// # When something fails
//
//   - From the loss of the connection until the bucket has been read again the registry is not in
//     sync.
//   - A bucket that was recreated, or has lost its end, gets the known registrations back before
//     anything is read from it.
//   - A service that starts compares the bucket with the record, and so notices a loss while no
//     service ran.
//   - A registration that cannot be decoded is logged. The app keeps its previous one.
//   - A consumer that is missing is recreated behind its last known ack floor. Without one it begins
//     with new events. Lost events are logged.
//   - A replica that does not answer holds up no change for longer than [Replicas] allows.
package registry
