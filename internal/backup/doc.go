// Package backup writes what a room service cannot make again to a folder, and restores it. Streams are
// copied with the snapshot API of JetStream, in the format of the nats CLI, with their consumers.
//
//	DIR/manifest.json        what the backup holds; written last, so a folder without it is no backup
//	DIR/<stream>/backup.json the configuration and the state of the stream
//	DIR/<stream>/stream.*    its messages and consumers
//
// Each stream is consistent in itself. Services and apps may run meanwhile, so the order of the streams makes
// the set consistent: a message that moves from one stream to another is copied first where it comes from.
//
//	ROOM_EVENTS       first. An event is acknowledged after its dead letter is stored. The revision of the
//	                  registry is recorded in its metadata after the registry has it.
//	KV_ROOM_APPS      so it is never older than that record
//	ROOM_REPLAYS      a replay that fails again becomes a dead letter
//	ROOM_GIVEN_UP     what is in it becomes a dead letter
//	ROOM_DEAD_LETTERS If dead letters were replayed since ROOM_REPLAYS was copied, the last three are copied again.
//	ROOM_REJECTIONS   belongs to nothing
//
// A message may be in two of these streams, as after a crash: an app may get an event twice, but none is lost.
//
// The snapshots of the projection are not part of a backup: they are made again.
//
// A restore puts the registry first, so that a service that is started meanwhile finds no events and waits. The
// metadata of ROOM_EVENTS says that the restore is in progress, and services wait, until everything is there and
// agrees with the manifest.
package backup
