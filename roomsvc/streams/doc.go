// Package streams ensures the streams of a room service: the stream of events, the streams beside
// it, and the streams of the buckets.
//
//	streams.go       the configuration of this package, and the streams that it opens
//	requirements.go  the required configuration of each stream
//	provision.go     checks the server, waits for its cluster, and creates missing streams
//	losses.go        finds streams that have lost their content
//	check.go         checks the streams of a running service
//	compare.go       compares the streams with their required configuration, and changes them
//
// # Guarantees
//
// A missing stream is created only if no other stream shows that it existed. Otherwise it is lost:
// [Streams.Provision] and [Streams.CheckLosses] return a [*LostError], until the stream is restored
// or the configuration allows to begin without it.
//
// A stream that a guarantee of the service rests on is on disk and has its copies. The stream of
// events also has every setting that could otherwise lose or reorder events. The other limits
// belong to the operator. Nothing changes a stream that differs but [Streams.Apply], which an
// operator calls; Provision only allows batches, if asked to. No function removes copies.
//
// # When something fails
//
//   - While the cluster elects its leaders, Provision waits for up to a minute.
//   - A stream that differs from what is required is an error that names all such streams.
//   - If an optional stream cannot be created, that is logged, and the service starts. It drops
//     what it would write there.
//   - If a check of a running service cannot look at a stream, the last findings stay.
package streams
