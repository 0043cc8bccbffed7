// Package rejections records the commands that were refused, in the stream ROOM_REJECTIONS.
//
//	recorder.go  queues rejections and writes them in the background
//	losses.go    counts and logs those that could not be written
//
// # Guarantees
//
// None: rejections are recorded on a best-effort basis. No command waits for a rejection or fails
// because of one.
//
// # When something fails
//
//   - A rejection that cannot be queued or written is dropped and counted. The begin and the end of
//     the losses are logged, not each of them.
//   - A stop writes the queue up to the first failure.
package rejections
