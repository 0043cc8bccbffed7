// Package backup copies the data of a room service that cannot be derived from other data to a
// folder, and
// restores it. Streams are copied with the snapshot API of JetStream, in the format of the nats
// CLI, with
// their consumers.
//
//	DIR/manifest.json        the content of the backup; written last, so a folder without it is no backup
//	DIR/<stream>/backup.json the configuration and the state of the stream
//	DIR/<stream>/stream.*    its messages and consumers
//
// Each stream is consistent in itself. Services and apps may run meanwhile, so the order of the
// streams makes
// the set consistent: a message that moves from one stream to another is copied first where it
// comes from.
//
//	ROOM_EVENTS       first. An event is acknowledged after its dead letter is stored. The revision of the
//	                  registry is recorded in its metadata after the registry has it.
//	KV_ROOM_APPS      so it is never older than that record
//	ROOM_REPLAYS      a replay that fails again becomes a dead letter
//	ROOM_GIVEN_UP     its messages become dead letters
//	ROOM_DEAD_LETTERS If dead letters were replayed since ROOM_REPLAYS was copied, the last three are copied again.
//	ROOM_REJECTIONS   independent of the others
//
// A message may be in two of these streams, as after a crash. An app may then get an event twice,
// but no event
// is lost.
//
// The snapshots of the projection are not part of a backup: services write new ones.
//
// A restore restores the registry first, so that a service that starts meanwhile finds no events
// and waits. The
// metadata of ROOM_EVENTS marks the restore as in progress. Services wait until all streams are
// restored and
// agree with the manifest.
package backup
